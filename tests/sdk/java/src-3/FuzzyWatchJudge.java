import com.alibaba.nacos.api.config.listener.AbstractFuzzyWatchEventWatcher;
import com.alibaba.nacos.api.config.listener.ConfigFuzzyWatchChangeEvent;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.NullNode;

/** Fuzzy watches, since 3.0. */
final class FuzzyWatchJudge implements Operations {
    @Override
    public JsonNode carryOut(JsonNode request) throws Exception {
        if (!"fuzzy_watch".equals(request.path("op").asText())) {
            throw new UnsupportedOperationException();
        }
        String pattern = request.path("data_id").asText();
        String group = request.path("group").asText();
        ConfigJudge.service.fuzzyWatch(pattern, group, new AbstractFuzzyWatchEventWatcher() {
            @Override
            public void onEvent(ConfigFuzzyWatchChangeEvent event) {
                Judge.say(JsonNodeFactory.instance.objectNode()
                        .put("event", "fuzzy").put("data_id", event.getDataId())
                        .put("change", event.getChangedType()));
            }
        });
        return NullNode.getInstance();
    }
}
