import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The Java client: RoundTrip write|read BOOTSTRAP JOBS. The files are those of corpus.py and clients/jobs.py. */
public final class RoundTrip {
    private record Job(TopicPartition partition, String codec, int count, Path path) {}

    public static void main(String[] arguments) throws Exception {
        List<Job> jobs = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(arguments[2]))) {
            String[] part = line.split("\t");
            jobs.add(new Job(new TopicPartition(part[0], Integer.parseInt(part[1])), part[2], Integer.parseInt(part[3]), Path.of(part[4])));
        }
        if (arguments[0].equals("write")) {
            write(arguments[1], jobs);
        } else {
            read(arguments[1], jobs);
        }
    }

    private static void write(String bootstrap, List<Job> jobs) throws Exception {
        for (Job job : jobs) {
            Properties settings = new Properties();
            settings.put("bootstrap.servers", bootstrap);
            settings.put("compression.type", job.codec());
            settings.put("linger.ms", "20");
            settings.put("max.request.size", "1048588");
            settings.put("delivery.timeout.ms", "40000");
            try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
                List<Future<?>> sent = new ArrayList<>();
                try (var in = new DataInputStream(new BufferedInputStream(Files.newInputStream(job.path())))) {
                    while (true) {
                        try {
                            in.readLong(); // the offset is for readers
                        } catch (EOFException end) {
                            break;
                        }
                        long timestamp = in.readLong();
                        byte[] key = sized(in);
                        byte[] value = sized(in);
                        List<Header> headers = new ArrayList<>();
                        for (int left = in.readInt(); left > 0; left--) {
                            headers.add(new RecordHeader(new String(sized(in), StandardCharsets.UTF_8), sized(in)));
                        }
                        sent.add(producer.send(new ProducerRecord<>(
                            job.partition().topic(), job.partition().partition(), timestamp < 0 ? null : timestamp, key, value, headers)));
                    }
                }
                for (Future<?> future : sent) {
                    future.get();
                }
            }
        }
    }

    private static void read(String bootstrap, List<Job> jobs) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("auto.offset.reset", "none");
        settings.put("enable.auto.commit", "false");
        Map<TopicPartition, DataOutputStream> outputs = new HashMap<>();
        int left = 0;
        for (Job job : jobs) {
            outputs.put(job.partition(), new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(job.path()))));
            left += job.count();
        }
        try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(outputs.keySet());
            for (TopicPartition partition : outputs.keySet()) {
                consumer.seek(partition, 0);
            }
            while (left > 0) {
                var records = consumer.poll(Duration.ofSeconds(20));
                if (records.isEmpty()) {
                    throw new IOException("no record for 20 s, " + left + " missing");
                }
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    store(outputs.get(new TopicPartition(record.topic(), record.partition())), record);
                }
                left -= records.count();
            }
        }
        for (DataOutputStream output : outputs.values()) {
            output.close();
        }
    }

    private static void store(DataOutputStream out, ConsumerRecord<byte[], byte[]> record) throws IOException {
        out.writeLong(record.offset());
        out.writeLong(record.timestamp());
        sized(out, record.key());
        sized(out, record.value());
        Header[] headers = record.headers().toArray();
        out.writeInt(headers.length);
        for (Header header : headers) {
            sized(out, header.key().getBytes(StandardCharsets.UTF_8));
            sized(out, header.value());
        }
    }

    private static byte[] sized(DataInputStream in) throws IOException {
        int size = in.readInt();
        if (size < 0) {
            return null;
        }
        byte[] data = new byte[size];
        in.readFully(data);
        return data;
    }

    private static void sized(DataOutputStream out, byte[] data) throws IOException {
        out.writeInt(data == null ? -1 : data.length);
        if (data != null) {
            out.write(data);
        }
    }
}
