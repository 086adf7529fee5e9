import com.alibaba.nacos.api.naming.pojo.Instance;
import com.alibaba.nacos.api.naming.pojo.Service;
import com.alibaba.nacos.api.naming.pojo.healthcheck.AbstractHealthChecker;
import com.alibaba.nacos.api.naming.pojo.maintainer.ClusterInfo;
import com.alibaba.nacos.maintainer.client.naming.NamingMaintainerService;
import java.util.List;
import java.util.Map;

/** Instances: published for others, changed, shown, taken away. */
final class InstanceCalls {
    private static final String PUBLIC = "public";
    private static final String GROUP = "DEFAULT_GROUP";

    private final Checks checks;
    private final NamingMaintainerService naming;

    InstanceCalls(Checks checks, NamingMaintainerService naming) {
        this.checks = checks;
        this.naming = naming;
    }

    private static Instance instance(int last) {
        Instance instance = new Instance();
        instance.setIp("192.0.2." + last);
        instance.setPort(80);
        instance.setClusterName("C");
        instance.setEphemeral(false);
        return instance;
    }

    private static Service service(String name) {
        Service service = ServiceCalls.service(name);
        service.setGroupName(GROUP);
        return service;
    }

    void all() {
        register();
        show();
        change();
        health();
        remove();
    }

    private void register() {
        checks.that("register 3", "ok", () -> naming.registerInstance("i-3", "192.0.2.3", 80));
        checks.that("register 4", "ok", () -> naming.registerInstance(GROUP, "i-4", "192.0.2.4", 80));
        checks.that("register 5", "ok", () -> naming.registerInstance(PUBLIC, GROUP, "i-5", "192.0.2.5", 80));
        checks.that("register 4c", "ok", () -> naming.registerInstance("i-6", "192.0.2.6", 80, "C"));
        checks.that("register 5c", "ok", () -> naming.registerInstance(GROUP, "i-7", "192.0.2.7", 80, "C"));
        checks.that("register 6c", "ok", () -> naming.registerInstance(PUBLIC, GROUP, "i-8", "192.0.2.8", 80, "C"));
        checks.that("register 2i", "ok", () -> naming.registerInstance("i-9", instance(9)));
        checks.that("register 3i", "ok", () -> naming.registerInstance(GROUP, "i-10", instance(10)));
        checks.that("register 4i", "ok", () -> naming.registerInstance(PUBLIC, GROUP, "i-11", instance(11)));
        checks.that("register", "ok", () -> naming.registerInstance(service("i-12"), instance(12)));
    }

    private void show() {
        checks.that("list 3", 1, () -> naming.listInstances("i-9", "C", false).size());
        checks.that("list 4", 1, () -> naming.listInstances(GROUP, "i-10", "C", false).size());
        checks.that("list 5", 1, () -> naming.listInstances(PUBLIC, GROUP, "i-11", "C", false).size());
        checks.that("list", "192.0.2.12", () -> naming.listInstances(service("i-12"), "C", false).get(0).getIp());
        checks.refused("list nothing", 404, () -> naming.listInstances(service("absent"), "C", false));
        checks.that("detail 3", 80, () -> naming.getInstanceDetail("i-3", "192.0.2.3", 80).getPort());
        checks.that("detail 4", 80, () -> naming.getInstanceDetail(GROUP, "i-4", "192.0.2.4", 80).getPort());
        checks.that("detail 5", 80, () -> naming.getInstanceDetail(PUBLIC, GROUP, "i-5", "192.0.2.5", 80).getPort());
        checks.that("detail 4c", "C", () -> naming.getInstanceDetail("i-6", "192.0.2.6", 80, "C").getClusterName());
        checks.that("detail 5c", "C", () -> naming.getInstanceDetail(GROUP, "i-7", "192.0.2.7", 80, "C").getClusterName());
        checks.that(
                "detail 6c",
                "C",
                () -> naming.getInstanceDetail(PUBLIC, GROUP, "i-8", "192.0.2.8", 80, "C").getClusterName());
        Instance twelve = checks.of("detail", () -> naming.getInstanceDetail(service("i-12"), instance(12)));
        checks.that("weight", 1.0, () -> twelve.getWeight());
        checks.that("kept by the log", false, () -> twelve.isEphemeral());
        checks.refused("detail of nothing", 404, () -> naming.getInstanceDetail(service("i-12"), instance(99)));
    }

    private void change() {
        Instance nine = instance(9);
        nine.setWeight(2);
        checks.that("update 2", "ok", () -> naming.updateInstance("i-9", nine));
        Instance ten = instance(10);
        ten.setEnabled(false);
        checks.that("update 3", "ok", () -> naming.updateInstance(GROUP, "i-10", ten));
        Instance eleven = instance(11);
        eleven.setMetadata(Map.of("k", "v"));
        checks.that("update 4", "ok", () -> naming.updateInstance(PUBLIC, GROUP, "i-11", eleven));
        Instance twelve = instance(12);
        twelve.setWeight(3);
        checks.that("update", "ok", () -> naming.updateInstance(service("i-12"), twelve));
        checks.that("its weight", 2.0, () -> naming.getInstanceDetail("i-9", "192.0.2.9", 80, "C").getWeight());
        checks.that("it is off", false, () -> naming.getInstanceDetail("i-10", "192.0.2.10", 80, "C").isEnabled());
        checks.that("its metadata", Map.of("k", "v"), () -> shown(service("i-11"), 11).getMetadata());
        checks.that("another weight", 3.0, () -> shown(service("i-12"), 12).getWeight());
        Instance partial = instance(12);
        partial.setWeight(4);
        checks.that("partial", "ok", () -> naming.partialUpdateInstance(service("i-12"), partial));
        checks.that("its weight then", 4.0, () -> shown(service("i-12"), 12).getWeight());
        Map<String, String> more = Map.of("zone", "z");
        checks.that(
                "more metadata",
                1,
                () -> naming.batchUpdateInstanceMetadata(service("i-11"), List.of(instance(11)), more).getUpdated().size());
        checks.that("both", Map.of("k", "v", "zone", "z"), () -> shown(service("i-11"), 11).getMetadata());
        checks.that(
                "less metadata",
                1,
                () -> naming.batchDeleteInstanceMetadata(service("i-11"), List.of(instance(11)), more).getUpdated().size());
        checks.that("one again", Map.of("k", "v"), () -> shown(service("i-11"), 11).getMetadata());
    }

    private Instance shown(Service service, int last) throws Exception {
        return naming.getInstanceDetail(service, instance(last));
    }

    /** By hand, where nobody checks. */
    private void health() {
        ClusterInfo unchecked = new ClusterInfo();
        unchecked.setClusterName("C");
        unchecked.setHealthyCheckPort(80);
        unchecked.setHealthChecker(new AbstractHealthChecker.None());
        checks.that("nobody checks", "ok", () -> naming.updateCluster(service("i-12"), unchecked));
        Instance ill = instance(12);
        ill.setHealthy(false);
        checks.that("ill", "ok", () -> naming.updateInstanceHealthStatus(service("i-12"), ill));
        checks.that("it is shown", false, () -> shown(service("i-12"), 12).isHealthy());
        checks.that("healthy only", 0, () -> naming.listInstances(service("i-12"), "C", true).size());
    }

    private void remove() {
        checks.that("deregister 3", "ok", () -> naming.deregisterInstance("i-3", "192.0.2.3", 80));
        checks.that("deregister 4", "ok", () -> naming.deregisterInstance(GROUP, "i-4", "192.0.2.4", 80));
        checks.that("deregister 5", "ok", () -> naming.deregisterInstance(PUBLIC, GROUP, "i-5", "192.0.2.5", 80));
        checks.that("deregister 4c", "ok", () -> naming.deregisterInstance("i-6", "192.0.2.6", 80, "C"));
        checks.that("deregister 5c", "ok", () -> naming.deregisterInstance(GROUP, "i-7", "192.0.2.7", 80, "C"));
        checks.that("deregister 6c", "ok", () -> naming.deregisterInstance(PUBLIC, GROUP, "i-8", "192.0.2.8", 80, "C"));
        checks.that("deregister 2i", "ok", () -> naming.deregisterInstance("i-9", instance(9)));
        checks.that("deregister 3i", "ok", () -> naming.deregisterInstance(GROUP, "i-10", instance(10)));
        checks.that("deregister 4i", "ok", () -> naming.deregisterInstance(PUBLIC, GROUP, "i-11", instance(11)));
        checks.that("deregister", "ok", () -> naming.deregisterInstance(service("i-12"), instance(12)));
        checks.refused("it is gone", 404, () -> shown(service("i-12"), 12));
    }
}
