import com.alibaba.nacos.api.model.Page;
import com.alibaba.nacos.api.naming.pojo.Service;
import com.alibaba.nacos.api.naming.pojo.healthcheck.impl.Tcp;
import com.alibaba.nacos.api.naming.pojo.maintainer.ClusterInfo;
import com.alibaba.nacos.api.naming.pojo.maintainer.MetricsInfo;
import com.alibaba.nacos.api.naming.pojo.maintainer.ServiceDetailInfo;
import com.alibaba.nacos.api.naming.pojo.maintainer.ServiceView;
import com.alibaba.nacos.api.naming.pojo.maintainer.SubscriberInfo;
import com.alibaba.nacos.api.selector.NoneSelector;
import com.alibaba.nacos.maintainer.client.naming.NamingMaintainerService;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Services: made, changed, shown, listed, removed; their clusters and subscribers. */
final class ServiceCalls {
    private static final String PUBLIC = "public";
    /** Part of no other group's name: searches are blurred. */
    private static final String GROUP = "JUDGED";

    private final Checks checks;
    private final NamingMaintainerService naming;

    ServiceCalls(Checks checks, NamingMaintainerService naming) {
        this.checks = checks;
        this.naming = naming;
    }

    static Service service(String name) {
        Service service = new Service();
        service.setNamespaceId(PUBLIC);
        service.setGroupName(GROUP);
        service.setName(name);
        service.setEphemeral(false);
        return service;
    }

    void all() {
        create();
        update();
        lists();
        clusters();
        subscribers();
        node();
        remove();
    }

    private void create() {
        checks.that("create 1", "ok", () -> naming.createService("s-1"));
        checks.that("create 2", "ok", () -> naming.createService(GROUP, "s-2"));
        checks.that("create 3", "ok", () -> naming.createService(PUBLIC, GROUP, "s-3"));
        checks.that("create 4", "ok", () -> naming.createService(PUBLIC, GROUP, "s-4", false));
        checks.that("create 5", "ok", () -> naming.createService(PUBLIC, GROUP, "s-5", true, 0.5f));
        checks.that("create", "ok", () -> naming.createService(service("s-6")));
        checks.refused("create it again", 400, () -> naming.createService(service("s-6")));
    }

    private void update() {
        NoneSelector none = new NoneSelector();
        Map<String, String> metadata = Map.of("k", "v");
        checks.that("update 4", "ok", () -> naming.updateService("s-1", metadata, 0.1f, none));
        checks.that("update 5", "ok", () -> naming.updateService(GROUP, "s-2", metadata, 0.2f, none));
        checks.that("update 6", "ok", () -> naming.updateService(PUBLIC, GROUP, "s-3", metadata, 0.3f, none));
        checks.that("update 7", "ok", () -> naming.updateService(PUBLIC, GROUP, "s-4", false, metadata, 0.4f, none));
        Service six = service("s-6");
        six.setMetadata(metadata);
        six.setProtectThreshold(0.6f);
        checks.that("update", "ok", () -> naming.updateService(six));
        checks.that("detail 1", 0.1f, () -> naming.getServiceDetail("s-1").getProtectThreshold());
        checks.that("detail 2", 0.2f, () -> naming.getServiceDetail(GROUP, "s-2").getProtectThreshold());
        ServiceDetailInfo three = checks.of("detail 3", () -> naming.getServiceDetail(PUBLIC, GROUP, "s-3"));
        checks.that("metadata", metadata, () -> three.getMetadata());
        checks.that("name", "public JUDGED s-3", () -> three.getNamespaceId() + " " + three.getGroupName() + " " + three.getServiceName());
        checks.that("threshold", 0.6f, () -> naming.getServiceDetail(six).getProtectThreshold());
        checks.refused("detail of nothing", 400, () -> naming.getServiceDetail("absent"));
    }

    private void lists() {
        checks.that("list 1", true, () -> naming.listServices(PUBLIC).getTotalCount() >= 7);
        checks.that("list 3", 5, () -> naming.listServices(PUBLIC, GROUP, "s-").getTotalCount());
        Page<ServiceView> page = checks.of("list 6", () -> naming.listServices(PUBLIC, GROUP, "s-", false, 2, 2));
        checks.that("pages", 3, () -> page.getPagesAvailable());
        checks.that("the second page", List.of("s-4", "s-5"), () -> names(page));
        checks.that("with detail 1", true, () -> naming.listServicesWithDetail(PUBLIC).getTotalCount() >= 7);
        checks.that("with detail 3", 1, () -> naming.listServicesWithDetail(PUBLIC, GROUP, "s-6").getTotalCount());
        checks.that(
                "with detail 5",
                "s-6",
                () -> naming.listServicesWithDetail(PUBLIC, GROUP, "s-6", 1, 9).getPageItems().get(0).getServiceName());
        // The client reads the list where the reference, too, has an envelope around it.
        checks.unreadable("selector types", naming::listSelectorTypes);
    }

    private static List<String> names(Page<ServiceView> page) {
        List<String> names = new ArrayList<>();
        page.getPageItems().forEach(view -> names.add(view.getName()));
        return names;
    }

    private void clusters() {
        ClusterInfo cluster = new ClusterInfo();
        cluster.setClusterName("C");
        cluster.setHealthyCheckPort(81);
        cluster.setUseInstancePortForCheck(false);
        cluster.setHealthChecker(new Tcp());
        cluster.setMetadata(Map.of("zone", "z"));
        checks.that("cluster", "ok", () -> naming.updateCluster(service("s-6"), cluster));
        // A cluster is shown with its first instance.
        checks.of("an instance", () -> naming.registerInstance(PUBLIC, GROUP, "s-6", "192.0.2.6", 80, "C"));
        ClusterInfo shown = checks.of("shown", () -> naming.getServiceDetail(service("s-6")).getClusterMap().get("C"));
        checks.that("its port", 81, () -> shown.getHealthyCheckPort());
        checks.that("its metadata", Map.of("zone", "z"), () -> shown.getMetadata());
        checks.of("none again", () -> naming.deregisterInstance(PUBLIC, GROUP, "s-6", "192.0.2.6", 80, "C"));
        checks.unreadable("checkers", naming::getHealthCheckers);
    }

    private void subscribers() {
        checks.that("subscribers 1", 1, () -> naming.getSubscribers("judged").getTotalCount());
        checks.that("subscribers 2", 1, () -> naming.getSubscribers("DEFAULT_GROUP", "judged").getTotalCount());
        checks.that("subscribers 3", 1, () -> naming.getSubscribers(PUBLIC, "DEFAULT_GROUP", "judged").getTotalCount());
        checks.that(
                "subscribers 5", 1, () -> naming.getSubscribers(PUBLIC, "DEFAULT_GROUP", "judged", 1, 9).getTotalCount());
        Page<SubscriberInfo> six =
                checks.of("subscribers 6", () -> naming.getSubscribers(PUBLIC, "DEFAULT_GROUP", "judged", 1, 9, false));
        checks.that("whose", "judged", () -> six.getPageItems().get(0).getServiceName());
        checks.that("who", true, () -> six.getPageItems().get(0).getIp() != null);
        Service judged = service("judged");
        judged.setGroupName("DEFAULT_GROUP");
        checks.that("subscribers", 1, () -> naming.getSubscribers(judged, 1, 9, true).getTotalCount());
        checks.that("of nothing", 0, () -> naming.getSubscribers(GROUP, "s-2").getTotalCount());
    }

    private void node() {
        MetricsInfo status = checks.of("status", () -> naming.getMetrics(true));
        checks.that("it is up", "UP", () -> status.getStatus());
        MetricsInfo metrics = checks.of("metrics", () -> naming.getMetrics(false));
        checks.that("services", true, () -> metrics.getServiceCount() >= 7);
        checks.that("clients", true, () -> metrics.getConnectionBasedClientCount() >= 1);
        checks.of("log level of naming", () -> naming.setLogLevel("naming-main", "INFO"));
    }

    private void remove() {
        checks.that("remove 1", "ok", () -> naming.removeService("s-1"));
        checks.that("remove 2", "ok", () -> naming.removeService(GROUP, "s-2"));
        checks.that("remove 3", "ok", () -> naming.removeService(PUBLIC, GROUP, "s-3"));
        checks.that("remove", "ok", () -> naming.removeService(service("s-4")));
        checks.that("remove the next", "ok", () -> naming.removeService(service("s-5")));
        checks.that("remove the last", "ok", () -> naming.removeService(service("s-6")));
        checks.that("none is left", 0, () -> naming.listServices(PUBLIC, GROUP, "s-").getTotalCount());
    }
}
