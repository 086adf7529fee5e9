import com.alibaba.nacos.api.NacosFactory;
import com.alibaba.nacos.api.PropertyKeyConst;
import com.alibaba.nacos.api.naming.NamingService;
import com.alibaba.nacos.api.naming.listener.EventListener;
import com.alibaba.nacos.api.naming.listener.NamingEvent;
import com.alibaba.nacos.api.naming.pojo.Instance;
import com.alibaba.nacos.api.naming.pojo.ListView;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

/** An unmodified Java nacos-client behind the judge protocol (tests/sdk/README.md). */
public final class Judge {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final PrintStream OUT = System.out;
    private static final List<String> NO_CLUSTERS = Collections.emptyList();

    private final Map<String, EventListener> listeners = new HashMap<>();
    private final Operations more = Operations.named("ConfigJudge");
    private NamingService naming;

    public static void main(String[] arguments) throws Exception {
        // Whatever a library prints belongs on stderr: stdout carries the protocol alone.
        System.setOut(System.err);
        Judge judge = new Judge();
        BufferedReader in =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            judge.serve(JSON.readTree(line));
        }
        // The test is gone. Its instances must leave by the connection's end, as in a crash.
        Runtime.getRuntime().halt(0);
    }

    private void serve(JsonNode request) {
        ObjectNode answer = JSON.createObjectNode();
        answer.set("id", request.get("id"));
        try {
            answer.set("result", carryOut(request));
            answer.put("ok", true);
        } catch (UnsupportedOperationException absent) {
            answer.put("ok", false).put("error", "unsupported");
        } catch (Throwable failure) {
            answer.put("ok", false).put("error", failure.toString());
        }
        say(answer);
    }

    static void say(ObjectNode message) {
        synchronized (OUT) {
            OUT.println(message);
            OUT.flush();
        }
    }

    private JsonNode carryOut(JsonNode request) throws Exception {
        String service = request.path("service").asText();
        String group = request.path("group").asText("DEFAULT_GROUP");
        switch (request.path("op").asText()) {
            case "connect":
                connect(request.path("server").asText());
                return JSON.nullNode();
            case "register":
                naming.registerInstance(service, group, instance(request));
                return JSON.nullNode();
            case "batch_register":
                batchRegister(service, group, instances(request));
                return JSON.nullNode();
            case "deregister":
                naming.deregisterInstance(service, group, instance(request));
                return JSON.nullNode();
            case "subscribe":
                subscribe(service, group);
                return JSON.nullNode();
            case "unsubscribe":
                naming.unsubscribe(service, group, listeners.remove(group + "@@" + service));
                return JSON.nullNode();
            case "query":
                return hosts(naming.getAllInstances(service, group, NO_CLUSTERS, false));
            case "select":
                return hosts(naming.selectInstances(service, group, NO_CLUSTERS, true, false));
            case "list_services":
                return services(request, group);
            case "timed_unary":
                return timedUnary(request.path("n").asInt(), group);
            case "status":
                return JSON.createObjectNode().put("up", "UP".equals(naming.getServerStatus()));
            case "close":
                naming.shutDown();
                return JSON.nullNode();
            default:
                return more.carryOut(request);
        }
    }

    /** 1.x does not have it. */
    private void batchRegister(String service, String group, List<Instance> instances)
            throws Exception {
        Method method;
        try {
            method = NamingService.class.getMethod(
                    "batchRegisterInstance", String.class, String.class, List.class);
        } catch (NoSuchMethodException absent) {
            throw new UnsupportedOperationException();
        }
        method.invoke(naming, service, group, instances);
    }

    private void connect(String server) throws Exception {
        Properties settings = new Properties();
        settings.setProperty(PropertyKeyConst.SERVER_ADDR, server);
        settings.setProperty(PropertyKeyConst.NAMING_LOAD_CACHE_AT_START, "false");
        settings.setProperty(PropertyKeyConst.NAMING_PUSH_EMPTY_PROTECTION, "false");
        naming = NacosFactory.createNamingService(settings);
    }

    private void subscribe(String service, String group) throws Exception {
        EventListener listener = event -> {
            NamingEvent change = (NamingEvent) event;
            ObjectNode push = JSON.createObjectNode().put("event", "push");
            push.put("service", service);
            push.set("hosts", hosts(change.getInstances()));
            say(push);
        };
        listeners.put(group + "@@" + service, listener);
        naming.subscribe(service, group, listener);
    }

    private static Instance instance(JsonNode from) {
        Instance instance = new Instance();
        instance.setIp(from.path("ip").asText());
        instance.setPort(from.path("port").asInt());
        if (from.hasNonNull("cluster")) {
            instance.setClusterName(from.get("cluster").asText());
        }
        Map<String, String> metadata = new HashMap<>();
        from.path("metadata").fields()
                .forEachRemaining(each -> metadata.put(each.getKey(), each.getValue().asText()));
        instance.setMetadata(metadata);
        instance.setEphemeral(!from.path("persistent").asBoolean(false));
        return instance;
    }

    private static List<Instance> instances(JsonNode request) {
        List<Instance> all = new ArrayList<>();
        request.path("instances").forEach(each -> all.add(instance(each)));
        return all;
    }

    private static ArrayNode hosts(List<Instance> instances) {
        ArrayNode hosts = JSON.createArrayNode();
        for (Instance instance : instances) {
            ObjectNode host = hosts.addObject();
            host.put("ip", instance.getIp());
            host.put("port", instance.getPort());
            host.put("cluster", instance.getClusterName());
            host.put("healthy", instance.isHealthy());
            host.put("weight", instance.getWeight());
            host.set("metadata", JSON.valueToTree(instance.getMetadata()));
        }
        return hosts;
    }

    private JsonNode services(JsonNode request, String group) throws Exception {
        ListView<String> page = naming.getServicesOfServer(
                request.path("page").asInt(1), request.path("size").asInt(10), group);
        ObjectNode result = JSON.createObjectNode().put("count", page.getCount());
        result.set("names", JSON.valueToTree(page.getData()));
        return result;
    }

    private JsonNode timedUnary(int calls, String group) throws Exception {
        long[] nanos = new long[calls];
        for (int call = 0; call < calls; call++) {
            long start = System.nanoTime();
            naming.getServicesOfServer(1, 10, group);
            nanos[call] = System.nanoTime() - start;
        }
        Arrays.sort(nanos);
        ObjectNode result = JSON.createObjectNode();
        result.put("p50_us", nanos[calls / 2] / 1000);
        return result.put("p99_us", nanos[calls * 99 / 100] / 1000);
    }
}
