import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.zip.ZipFile;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.Readable;

/** Reads lines "GOLDEN message version hex", has Kafka's own classes decode and encode them, and prints the lines that stay the same. */
public class Check {
    public static void main(String[] args) throws Exception {
        Map<String, String> classes = classes();
        int same = 0, different = 0;
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            if (!line.startsWith("GOLDEN ")) continue;
            String[] words = line.split(" ", -1);
            String name = classes.getOrDefault(words[1] + "Data", classes.get(words[1]));
            short version = Short.parseShort(words[2]);
            byte[] bytes = HexFormat.of().parseHex(words[3]);
            try {
                ByteBuffer buffer = ByteBuffer.wrap(bytes);
                Message message = (Message) Class.forName(name)
                    .getConstructor(Readable.class, short.class)
                    .newInstance(new ByteBufferAccessor(buffer), version);
                ByteBuffer again = MessageUtil.toByteBufferAccessor(message, version).buffer();
                byte[] encoded = new byte[again.remaining()];
                again.get(encoded);
                if (buffer.hasRemaining() || !HexFormat.of().formatHex(encoded).equals(words[3])) {
                    throw new IllegalStateException(HexFormat.of().formatHex(encoded) + " " + buffer.remaining() + " left");
                }
                same++;
                System.out.println(line.substring("GOLDEN ".length()));
            } catch (Exception error) {
                different++;
                Throwable cause = error.getCause() == null ? error : error.getCause();
                System.err.println("DIFFERENT " + words[1] + " " + version + ": " + cause + "\n  " + words[3]);
            }
        }
        System.err.println(same + " the same, " + different + " different");
    }

    /** Classes of messages by their short names, from all jars of Kafka on the class path. */
    private static Map<String, String> classes() throws Exception {
        Map<String, String> classes = new HashMap<>();
        for (String path : System.getProperty("java.class.path").split(":")) {
            if (!path.endsWith(".jar") || !Files.exists(Path.of(path))) continue;
            try (ZipFile jar = new ZipFile(path)) {
                jar.stream().map(entry -> entry.getName()).filter(entry -> entry.matches(
                    "org/apache/kafka/(common/message|common/metadata|.*/generated)/[A-Za-z]+\\.class"
                )).forEach(entry -> {
                    String name = entry.substring(0, entry.length() - ".class".length()).replace('/', '.');
                    classes.put(name.substring(name.lastIndexOf('.') + 1), name);
                });
            }
        }
        return classes;
    }
}
