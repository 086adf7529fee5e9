import com.alibaba.nacos.api.config.model.ConfigBasicInfo;
import com.alibaba.nacos.api.config.model.ConfigCloneInfo;
import com.alibaba.nacos.api.config.model.ConfigDetailInfo;
import com.alibaba.nacos.api.config.model.ConfigGrayInfo;
import com.alibaba.nacos.api.config.model.ConfigHistoryBasicInfo;
import com.alibaba.nacos.api.config.model.ConfigHistoryDetailInfo;
import com.alibaba.nacos.api.config.model.ConfigListenerInfo;
import com.alibaba.nacos.api.config.model.SameConfigPolicy;
import com.alibaba.nacos.api.model.Page;
import com.alibaba.nacos.maintainer.client.config.ConfigMaintainerService;
import java.util.List;
import java.util.Map;

/** Configs: published, found, shown, cloned, tried on a few, remembered, removed. */
final class ConfigCalls {
    private static final String PUBLIC = "public";
    /** Part of no other group's name: searches are blurred. */
    private static final String GROUP = "JUDGED";

    private final Checks checks;
    private final ConfigMaintainerService config;

    ConfigCalls(Checks checks, ConfigMaintainerService config) {
        this.checks = checks;
        this.config = config;
    }

    void all() {
        publish();
        show();
        find();
        clones();
        beta();
        history();
        listeners();
        checks.that("cache", true, () -> config.updateLocalCacheFromStore() != null);
        checks.of("log level of configs", () -> config.setLogLevel("config-server", "INFO"));
        remove();
    }

    private void publish() {
        checks.that("publish 2", true, () -> config.publishConfig("m-2", "two"));
        checks.that("publish 3", true, () -> config.publishConfig("m-3", GROUP, "three"));
        checks.that("publish 4", true, () -> config.publishConfig("m-4", GROUP, PUBLIC, "four"));
        checks.that("publish 5", true, () -> config.publishConfig("m-5", GROUP, PUBLIC, "five", "about five"));
        checks.that("publish 6", true, () -> config.publishConfig("m-6", GROUP, PUBLIC, "{}", "about six", "json"));
        checks.that(
                "publish 9",
                true,
                () ->
                        config.publishConfig(
                                "m-9", GROUP, PUBLIC, "nine: 9", "shop", "me", "a,b", "about nine", "yaml"));
        checks.that("metadata", true, () -> config.updateConfigMetadata("m-9", GROUP, PUBLIC, "newer", "c,d"));
    }

    private void show() {
        checks.that("get 1", "two", () -> config.getConfig("m-2").getContent());
        checks.that("get 2", "three", () -> config.getConfig("m-3", GROUP).getContent());
        ConfigDetailInfo nine = checks.of("get 3", () -> config.getConfig("m-9", GROUP, PUBLIC));
        checks.that("content", "nine: 9", () -> nine.getContent());
        checks.that("type", "yaml", () -> nine.getType());
        checks.that("app", "shop", () -> nine.getAppName());
        checks.that("description", "newer", () -> nine.getDesc());
        checks.that("tags", "c,d", () -> nine.getConfigTags());
        checks.that("name", "public JUDGED m-9", () -> name(nine));
        checks.that("user", true, () -> nine.getCreateIp() != null && nine.getModifyTime() > 0);
        checks.that("type of six", "json", () -> config.getConfig("m-6", GROUP, PUBLIC).getType());
        checks.refused("get nothing", 404, () -> config.getConfig("absent", GROUP, PUBLIC));
    }

    private static String name(ConfigBasicInfo info) {
        return info.getNamespaceId() + " " + info.getGroupName() + " " + info.getDataId();
    }

    private void find() {
        checks.that("list 1", true, () -> config.listConfigs(PUBLIC).getTotalCount() >= 6);
        checks.that("list 3", 1, () -> config.listConfigs("m-3", GROUP, PUBLIC).getTotalCount());
        checks.that("list 4", 1, () -> config.listConfigs("m-6", GROUP, PUBLIC, "json").getTotalCount());
        checks.that("list 6", 1, () -> config.listConfigs("m-9", GROUP, PUBLIC, "yaml", "c", "shop").getTotalCount());
        Page<ConfigBasicInfo> page =
                checks.of("list 8", () -> config.listConfigs("", GROUP, PUBLIC, "", "", "", 2, 2));
        checks.that("all of its group", 5, () -> page.getTotalCount());
        checks.that("pages", 3, () -> page.getPagesAvailable());
        checks.that("the second page", List.of("m-5", "m-6"), () -> dataIds(page));
        checks.that("an exact name has no stars", 0, () -> config.listConfigs("m-*", GROUP, PUBLIC).getTotalCount());
        checks.that("search 3", 6, () -> config.searchConfigs("m-", "", PUBLIC).getTotalCount());
        checks.that("search 4", 1, () -> config.searchConfigs("m-", GROUP, PUBLIC, "json").getTotalCount());
        checks.that("search 5", 1, () -> config.searchConfigs("-9", GROUP, PUBLIC, "nine", "yaml").getTotalCount());
        checks.that(
                "search 7",
                1,
                () -> config.searchConfigs("m-", GROUP, PUBLIC, "nine", "yaml", "c", "shop").getTotalCount());
        Page<ConfigBasicInfo> found =
                checks.of("search 9", () -> config.searchConfigs("m-", GROUP, PUBLIC, "", "", "", "", 1, 3));
        checks.that("the first page", List.of("m-3", "m-4", "m-5"), () -> dataIds(found));
        checks.that(
                "search by details",
                1,
                () ->
                        config.searchConfigByDetails("m-9", GROUP, PUBLIC, "accurate", "9", "", "", "", 1, 9)
                                .getTotalCount());
        checks.that("of a namespace", true, () -> config.getConfigListByNamespace(PUBLIC).size() >= 6);
    }

    private static List<String> dataIds(Page<? extends ConfigBasicInfo> page) {
        List<String> names = new java.util.ArrayList<>();
        page.getPageItems().forEach(item -> names.add(item.getDataId()));
        return names;
    }

    private void clones() {
        checks.of("a namespace to clone to", () -> config.createNamespace("copies", "Copies", ""));
        ConfigCloneInfo what = new ConfigCloneInfo();
        what.setConfigId(checks.of("its id", () -> config.getConfig("m-3", GROUP, PUBLIC).getId()));
        what.setTargetGroupName("H");
        what.setTargetDataId("copy");
        Map<String, Object> report =
                checks.of("clone", () -> config.cloneConfig("copies", List.of(what), "me", SameConfigPolicy.ABORT));
        checks.that("cloned", 1, () -> ((Number) report.get("succCount")).intValue());
        checks.that("the copy", "three", () -> config.getConfig("copy", "H", "copies").getContent());
        checks.that("delete in a namespace", true, () -> config.deleteConfig("copy", "H", "copies"));
        checks.of("that namespace is not needed any more", () -> config.deleteNamespace("copies"));
    }

    private void beta() {
        checks.that(
                "publish a beta",
                true,
                () ->
                        config.publishBetaConfig(
                                "m-3", GROUP, PUBLIC, "for a few", "", "me", "", "", "text", "192.0.2.7"));
        ConfigGrayInfo beta = checks.of("beta", () -> config.queryBeta("m-3", GROUP));
        checks.that("its content", "for a few", () -> beta.getContent());
        checks.that("its rule", true, () -> beta.getGrayRule().contains("192.0.2.7"));
        checks.that("its name", "beta", () -> beta.getGrayName());
        checks.that("beta 3", "for a few", () -> config.queryBeta("m-3", GROUP, PUBLIC).getContent());
        checks.that("stop it", true, () -> config.stopBeta("m-3", GROUP));
        checks.that("stop nothing", true, () -> config.stopBeta("m-3", GROUP, PUBLIC));
        checks.refused("no beta", 404, () -> config.queryBeta("m-3", GROUP));
    }

    private void history() {
        checks.that("change", true, () -> config.publishConfig("m-4", GROUP, PUBLIC, "four again"));
        Page<ConfigHistoryBasicInfo> all =
                checks.of("history", () -> config.listConfigHistory("m-4", GROUP, PUBLIC, 1, 9));
        checks.that("entries", 2, () -> all.getTotalCount());
        ConfigHistoryBasicInfo last = checks.of("the last", () -> all.getPageItems().get(0));
        checks.that("what was done", "U", () -> last.getOpType().trim());
        ConfigHistoryDetailInfo detail =
                checks.of("entry", () -> config.getConfigHistoryInfo("m-4", GROUP, PUBLIC, last.getId()));
        checks.that("what it replaced", "four", () -> detail.getContent());
        Long id = checks.of("its row", () -> config.getConfig("m-4", GROUP, PUBLIC).getId());
        ConfigHistoryDetailInfo before =
                checks.of("previous", () -> config.getPreviousConfigHistoryInfo("m-4", GROUP, PUBLIC, id));
        checks.that("previous content", "four", () -> before.getContent());
    }

    private void listeners() {
        ConfigListenerInfo two = checks.of("listeners 2", () -> config.getListeners("judged", GROUP));
        checks.that("one listener", 1, () -> two.getListenersStatus().size());
        checks.that("of a config", "config", () -> two.getQueryType());
        String ip = checks.of("its address", () -> two.getListenersStatus().keySet().iterator().next());
        checks.that("listeners 4", 1, () -> config.getListeners("judged", GROUP, PUBLIC, false).getListenersStatus().size());
        ConfigListenerInfo of = checks.of("by address", () -> config.getAllSubClientConfigByIp(ip, true, PUBLIC, true));
        checks.that("of an address", "ip", () -> of.getQueryType());
        checks.that("what it listens to", true, () -> of.getListenersStatus().toString().contains("judged"));
    }

    private void remove() {
        checks.that("delete 1", true, () -> config.deleteConfig("m-2"));
        checks.that("delete 2", true, () -> config.deleteConfig("m-3", GROUP));
        checks.that("delete 3", true, () -> config.deleteConfig("m-4", GROUP, PUBLIC));
        List<Long> ids =
                checks.of(
                        "ids",
                        () ->
                                List.of(
                                        config.getConfig("m-5", GROUP, PUBLIC).getId(),
                                        config.getConfig("m-6", GROUP, PUBLIC).getId()));
        checks.that("delete several", true, () -> config.deleteConfigs(ids));
        checks.that("what is left", List.of("m-9"), () -> dataIds(config.searchConfigs("m-", "", PUBLIC)));
        checks.that("delete the last", true, () -> config.deleteConfig("m-9", GROUP, PUBLIC));
    }
}
