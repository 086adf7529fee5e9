import com.alibaba.nacos.api.PropertyKeyConst;
import com.alibaba.nacos.maintainer.client.config.ConfigMaintainerFactory;
import com.alibaba.nacos.maintainer.client.config.ConfigMaintainerService;
import com.alibaba.nacos.maintainer.client.naming.NamingMaintainerFactory;
import com.alibaba.nacos.maintainer.client.naming.NamingMaintainerService;
import java.util.Properties;

/**
 * An unmodified nacos-maintainer-client: calls every method of its services against the server
 * named first (user and password may follow) and prints what was not as it should be.
 *
 * <p>The test beside it holds a client that publishes and follows `judged` in `public`, and one
 * that listens to the config `judged`, so that there is something to be shown.
 */
public final class Maintainer {
    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.put(PropertyKeyConst.SERVER_ADDR, arguments[0]);
        if (arguments.length > 1) {
            properties.put(PropertyKeyConst.USERNAME, arguments[1]);
            properties.put(PropertyKeyConst.PASSWORD, arguments[2]);
        }
        Checks checks = new Checks();
        ConfigMaintainerService config =
                checks.noting(
                        ConfigMaintainerService.class,
                        ConfigMaintainerFactory.createConfigMaintainerService(properties));
        NamingMaintainerService naming =
                checks.noting(
                        NamingMaintainerService.class,
                        NamingMaintainerFactory.createNamingMaintainerService(properties));
        new CoreCalls(checks, naming).all();
        new ConfigCalls(checks, config).all();
        new ServiceCalls(checks, naming).all();
        new InstanceCalls(checks, naming).all();
        new ClientCalls(checks, naming).all();
        checks.uncalled(ConfigMaintainerService.class).forEach(m -> checks.failures.add("uncalled " + m));
        checks.uncalled(NamingMaintainerService.class).forEach(m -> checks.failures.add("uncalled " + m));
        checks.failures.forEach(System.out::println);
        System.out.println(checks.failures.isEmpty() ? "all well" : checks.failures.size() + " failed");
        // Its threads are no daemons.
        Runtime.getRuntime().halt(0);
    }
}
