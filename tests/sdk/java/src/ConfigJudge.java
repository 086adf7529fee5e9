import com.alibaba.nacos.api.NacosFactory;
import com.alibaba.nacos.api.PropertyKeyConst;
import com.alibaba.nacos.api.config.ConfigService;
import com.alibaba.nacos.api.config.listener.AbstractListener;
import com.alibaba.nacos.api.utils.NetUtils;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.util.Properties;

/** The config client: 1.x polls, later ones speak gRPC and know compare-and-swap. */
final class ConfigJudge implements Operations {
    private static final long TIMEOUT_MS = 3000;

    private final Operations fuzzy = Operations.named("FuzzyWatchJudge");
    static ConfigService service;

    @Override
    public JsonNode carryOut(JsonNode request) throws Exception {
        String dataId = request.path("data_id").asText();
        String group = request.path("group").asText();
        switch (request.path("op").asText()) {
            case "connect_config":
                connect(request);
                return NullNode.getInstance();
            case "address":
                return TextNode.valueOf(localAddress());
            case "publish":
                return BooleanNode.valueOf(publish(request, dataId, group));
            case "get":
                return text(service.getConfig(dataId, group, TIMEOUT_MS));
            case "remove":
                return BooleanNode.valueOf(service.removeConfig(dataId, group));
            case "listen":
                listen(dataId, group);
                return NullNode.getInstance();
            default:
                return fuzzy.carryOut(request);
        }
    }

    /** 3.x spells the method differently. */
    private static String localAddress() throws Exception {
        for (Method method : NetUtils.class.getMethods()) {
            if (method.getName().equalsIgnoreCase("localIp")) {
                return (String) method.invoke(null);
            }
        }
        throw new UnsupportedOperationException();
    }

    private static void connect(JsonNode request) throws Exception {
        Properties settings = Judge.settings(request);
        if (request.hasNonNull("namespace")) {
            settings.setProperty(
                    PropertyKeyConst.NAMESPACE, request.get("namespace").asText());
        }
        service = NacosFactory.createConfigService(settings);
    }

    /** This SDK has no gray publish. */
    private static boolean publish(JsonNode request, String dataId, String group)
            throws Exception {
        String content = request.path("content").asText();
        if (request.hasNonNull("beta_ips")) {
            throw new UnsupportedOperationException();
        }
        if (request.hasNonNull("cas_md5")) {
            String md5 = request.get("cas_md5").asText();
            return publishAfter(dataId, group, content, md5);
        }
        return service.publishConfig(dataId, group, content);
    }

    /** 1.x does not have it. */
    private static boolean publishAfter(String dataId, String group, String content, String md5)
            throws Exception {
        Class<?> text = String.class;
        Method method;
        try {
            method = ConfigService.class.getMethod("publishConfigCas", text, text, text, text);
        } catch (NoSuchMethodException absent) {
            throw new UnsupportedOperationException();
        }
        try {
            return (Boolean) method.invoke(service, dataId, group, content, md5);
        } catch (InvocationTargetException failed) {
            throw (Exception) failed.getCause();
        }
    }

    private static void listen(String dataId, String group) throws Exception {
        service.addListener(dataId, group, new AbstractListener() {
            @Override
            public void receiveConfigInfo(String content) {
                Judge.say(JsonNodeFactory.instance.objectNode()
                        .put("event", "config").put("data_id", dataId)
                        .set("content", text(content)));
            }
        });
    }

    private static JsonNode text(String content) {
        return content == null ? NullNode.getInstance() : TextNode.valueOf(content);
    }
}
