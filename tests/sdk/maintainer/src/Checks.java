import com.alibaba.nacos.api.exception.NacosException;
import com.alibaba.nacos.api.exception.runtime.NacosDeserializationException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/** What went wrong, and which methods nobody called. */
final class Checks {
    final List<String> failures = new ArrayList<>();
    private final Set<String> called = new HashSet<>();

    interface Call<T> {
        T call() throws Exception;
    }

    /** The same service, with a note of each method that is called on it. */
    <T> T noting(Class<T> type, T service) {
        return type.cast(
                Proxy.newProxyInstance(
                        type.getClassLoader(),
                        new Class<?>[] {type},
                        (proxy, method, arguments) -> {
                            called.add(signature(method));
                            try {
                                return method.invoke(service, arguments);
                            } catch (InvocationTargetException wrapped) {
                                throw wrapped.getCause();
                            }
                        }));
    }

    /** Methods of an interface that were not called, but for those of lifecycle and helpers. */
    List<String> uncalled(Class<?> type) {
        List<String> missed = new ArrayList<>();
        for (Method method : type.getMethods()) {
            boolean isHelper = List.of("shutdown", "fillAllPattern").contains(method.getName());
            if (!isHelper && !called.contains(signature(method))) {
                missed.add(type.getSimpleName() + "." + signature(method));
            }
        }
        return missed;
    }

    /** Overloads count each; the same method of two services counts once. */
    private static String signature(Method method) {
        StringBuilder text = new StringBuilder(method.getName()).append('(');
        for (Class<?> parameter : method.getParameterTypes()) {
            text.append(parameter.getSimpleName()).append(' ');
        }
        return text.append(')').toString();
    }

    /** What a call gives, which must succeed; null if it does not. */
    <T> T of(String what, Call<T> call) {
        try {
            return call.call();
        } catch (Throwable failure) {
            failures.add(what + ": " + failure);
            return null;
        }
    }

    /** A call that must give exactly this. */
    void that(String what, Object expected, Call<?> call) {
        int before = failures.size();
        Object given = of(what, call);
        if (failures.size() == before && !Objects.equals(given, expected)) {
            failures.add(what + ": expected " + expected + ", given " + given);
        }
    }

    /** A call whose answer this client cannot read, whoever gave it. */
    void unreadable(String what, Call<?> call) {
        try {
            failures.add(what + ": the client reads it now, given " + call.call());
        } catch (NacosDeserializationException expected) {
            // As with the reference.
        } catch (Throwable failure) {
            failures.add(what + ": " + failure);
        }
    }

    /** A call the server must refuse with this code. */
    void refused(String what, int code, Call<?> call) {
        try {
            failures.add(what + ": expected a refusal, given " + call.call());
        } catch (NacosException refusal) {
            if (refusal.getErrCode() != code) {
                failures.add(what + ": expected code " + code + ", given " + refusal);
            }
        } catch (Throwable failure) {
            failures.add(what + ": " + failure);
        }
    }
}
