import com.fasterxml.jackson.databind.JsonNode;

/** Operations of the judge protocol that not every judged version of the client has. */
interface Operations {
    /** Throws UnsupportedOperationException for an operation it does not know. */
    JsonNode carryOut(JsonNode request) throws Exception;

    /** The operations of a class that was compiled only where the client has them (`prepare`). */
    static Operations named(String type) {
        try {
            return (Operations) Class.forName(type).getDeclaredConstructor().newInstance();
        } catch (ClassNotFoundException absent) {
            return request -> {
                throw new UnsupportedOperationException();
            };
        } catch (ReflectiveOperationException broken) {
            throw new IllegalStateException(type, broken);
        }
    }
}
