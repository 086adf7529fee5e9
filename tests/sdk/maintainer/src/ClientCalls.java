import com.alibaba.nacos.api.naming.pojo.maintainer.ClientPublisherInfo;
import com.alibaba.nacos.api.naming.pojo.maintainer.ClientServiceInfo;
import com.alibaba.nacos.api.naming.pojo.maintainer.ClientSubscriberInfo;
import com.alibaba.nacos.api.naming.pojo.maintainer.ClientSummaryInfo;
import com.alibaba.nacos.api.naming.pojo.maintainer.SubscriberInfo;
import com.alibaba.nacos.maintainer.client.naming.NamingMaintainerService;
import java.util.List;

/** Clients: who there is, and who publishes and follows what. */
final class ClientCalls {
    private final Checks checks;
    private final NamingMaintainerService naming;

    ClientCalls(Checks checks, NamingMaintainerService naming) {
        this.checks = checks;
        this.naming = naming;
    }

    void all() {
        List<ClientPublisherInfo> publishers =
                checks.of(
                        "publishers",
                        () -> naming.getPublishedClientList("public", "DEFAULT_GROUP", "judged", "192.0.2.1", 80));
        checks.that("one publishes", 1, () -> publishers.size());
        String id = checks.of("its id", () -> publishers.get(0).getClientId());
        checks.that("where", "192.0.2.1:80", () -> publishers.get(0).getIp() + ":" + publishers.get(0).getPort());
        SubscriberInfo follower =
                checks.of(
                        "follower",
                        () -> naming.getSubscribers("DEFAULT_GROUP", "judged").getPageItems().get(0));
        List<ClientSubscriberInfo> subscribers =
                checks.of(
                        "subscribers",
                        () ->
                                naming.getSubscribeClientList(
                                        "public", "DEFAULT_GROUP", "judged", follower.getIp(), follower.getPort()));
        checks.that("the same follows", id, () -> subscribers.get(0).getClientId());
        // As with selector types.
        checks.unreadable("all clients", naming::getClientList);
        ClientSummaryInfo summary = checks.of("client", () -> naming.getClientDetail(id));
        checks.that("by connection", "connection", () -> summary.getClientType());
        checks.that("ephemeral", true, () -> summary.isEphemeral());
        List<ClientServiceInfo> published = checks.of("published", () -> naming.getPublishedServiceList(id));
        checks.that("it publishes", "judged", () -> published.get(0).getServiceName());
        List<ClientServiceInfo> followed = checks.of("followed", () -> naming.getSubscribeServiceList(id));
        checks.that("it follows", "judged", () -> followed.get(0).getServiceName());
        checks.refused("no such client", 404, () -> naming.getClientDetail("absent"));
    }
}
