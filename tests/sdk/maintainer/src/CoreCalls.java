import com.alibaba.nacos.api.model.response.NacosMember;
import com.alibaba.nacos.api.model.response.Namespace;
import com.alibaba.nacos.api.model.response.ServerLoaderMetrics;
import com.alibaba.nacos.maintainer.client.core.CoreMaintainerService;
import java.util.Collection;
import java.util.List;

/** State, members, clients, namespaces: what both services share. */
final class CoreCalls {
    private final Checks checks;
    private final CoreMaintainerService core;

    CoreCalls(Checks checks, CoreMaintainerService core) {
        this.checks = checks;
        this.core = core;
    }

    void all() {
        node();
        members();
        clients();
        namespaces();
    }

    private void node() {
        checks.that("state", "standalone", () -> core.getServerState().get("startup_mode"));
        checks.that("liveness", true, core::liveness);
        checks.that("readiness", true, core::readiness);
        checks.that("ids", true, () -> core.getIdGenerators() != null);
        checks.of(
                "log level",
                () -> {
                    core.updateLogLevel("naming-main", "INFO");
                    return null;
                });
        checks.that("raft", true, () -> core.raftOps("doSnapshot", "", "naming_persistent_service_v2") != null);
    }

    private void members() {
        Collection<NacosMember> members = checks.of("members", () -> core.listClusterNodes("", ""));
        checks.that("one member", 1, () -> members.size());
        checks.that("it is up", "UP", () -> members.iterator().next().getState().name());
        checks.that("members that are up", 1, () -> core.listClusterNodes("", "UP").size());
        checks.that("members elsewhere", 0, () -> core.listClusterNodes("192.0.2.1", "").size());
        // It runs alone.
        checks.refused("lookup", 501, () -> core.updateLookupMode("file"));
    }

    private void clients() {
        checks.that("clients", true, () -> core.getCurrentClients().size() >= 2);
        ServerLoaderMetrics metrics = checks.of("loader", core::getClusterLoaderMetrics);
        checks.that("members of the loader", 1, () -> metrics.getMemberCount());
        checks.that("connections of the loader", true, () -> metrics.getTotal() >= 2);
        checks.that("completed", true, () -> metrics.isCompleted());
        // More than there are: nobody has to leave.
        checks.of("reload", () -> core.reloadConnectionCount(1_000, ""));
        checks.of("smart reload", () -> core.smartReloadCluster("0.1"));
        checks.of("reload nobody", () -> core.reloadSingleClient("absent", ""));
    }

    private void namespaces() {
        checks.that("no such namespace", false, () -> core.checkNamespaceIdExist("made"));
        checks.that("create", true, () -> core.createNamespace("Made", "for the judge"));
        checks.that("create with an id", true, () -> core.createNamespace("made", "Made", "for the judge"));
        checks.that("it is there", true, () -> core.checkNamespaceIdExist("made"));
        Namespace made = checks.of("namespace", () -> core.getNamespace("made"));
        checks.that("its name", "Made", () -> made.getNamespaceShowName());
        checks.that("its description", "for the judge", () -> made.getNamespaceDesc());
        checks.that("update", true, () -> core.updateNamespace("made", "Changed", "twice"));
        checks.that("its new name", "Changed", () -> core.getNamespace("made").getNamespaceShowName());
        List<Namespace> all = checks.of("namespaces", core::getNamespaceList);
        checks.that("public and two more", 3, () -> all.size());
        checks.refused("no such namespace", 404, () -> core.getNamespace("absent"));
        checks.that("delete", true, () -> core.deleteNamespace("made"));
        checks.that("it is gone", false, () -> core.checkNamespaceIdExist("made"));
    }
}
