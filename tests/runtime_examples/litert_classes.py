"""The classes of LiteRT's Java interface that the Android example uses, for a JVM without its
library: what they take, give and refuse is as in LiteRT; what is computed is a few sums, or what
LiteRT's interpreter in Python computes.
"""

from __future__ import annotations

DATA_TYPE = "package org.tensorflow.lite; public enum DataType { FLOAT32, INT32, INT64 }"
TENSOR = """
package org.tensorflow.lite;

public interface Tensor {
    DataType dataType();
    int[] shape();
    int numBytes();
}
"""
# SERVER runs a LiteRT file; any other is text: signatures, the type of the tokens, more inputs
INTERPRETER = """
package org.tensorflow.lite;

import java.io.*;
import java.nio.*;
import java.nio.file.Files;
import java.util.*;

public final class Interpreter implements AutoCloseable {
    public static class Options {
        public Options setNumThreads(int threads) { return this; }
    }

    private record Memory(DataType dataType, int[] shape, ByteBuffer held) implements Tensor {
        Memory(DataType type, int... shape) {
            this(type, shape, ByteBuffer.allocate(
                Arrays.stream(shape).reduce(type == DataType.INT64 ? 8 : 4, (a, b) -> a * b)));
            held.order(ByteOrder.nativeOrder());
        }
        public int numBytes() { return held.capacity(); }
        float at(int place) { return held.getFloat(4 * place); }
        void set(int place, float value) { held.putFloat(4 * place, value); }
    }

    private final Map<String, Memory> inputs = new TreeMap<>(), outputs = new TreeMap<>();
    private final String[] keys;

    private Process process; // LiteRT itself, in Python

    public Interpreter(File file, Options options) {
        try {
            byte[] data = Files.readAllBytes(file.toPath());
            if (new String(data, "ISO-8859-1").startsWith("TFL3", 4)) keys = started(file);
            else keys = small(new String(data).split(" "));
        } catch (IOException error) {
            throw new IllegalArgumentException(error);
        }
    }

    private String[] small(String[] words) {
        if (words.length < 2) throw new IllegalArgumentException("no model\\nat all");
        inputs.put("tokens", new Memory(DataType.valueOf(words[1]), 1, 1));
        for (int at = 2; at < words.length; at++)
            inputs.put(words[at], new Memory(DataType.FLOAT32, 1));
        for (String name : List.of("h", "c")) {
            inputs.put(name, new Memory(DataType.FLOAT32, 1, 1, 2));
            outputs.put(name + "_next", new Memory(DataType.FLOAT32, 1, 1, 2));
        }
        outputs.put("logits", new Memory(DataType.FLOAT32, 1, 1, 3));
        return words[0].split(",");
    }

    private String[] started(File file) throws IOException {
        List<String> words = new ArrayList<>(List.of(System.getProperty("server").split("[|]")));
        words.add(file.getPath());
        process = new ProcessBuilder(words).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        String key = line();
        for (String line = line(); !line.isEmpty(); line = line()) {
            String[] parts = line.split(" ");
            int[] shape = Arrays.stream(parts).skip(3).mapToInt(Integer::parseInt).toArray();
            (parts[0].equals("in") ? inputs : outputs)
                .put(parts[1], new Memory(DataType.valueOf(parts[2]), shape));
        }
        return new String[] {key};
    }

    private String line() throws IOException {
        StringBuilder made = new StringBuilder();
        for (int next; (next = process.getInputStream().read()) != '\\n';) {
            if (next < 0) throw new EOFException();
            made.append((char) next);
        }
        return made.toString();
    }

    private void served() {
        try {
            OutputStream out = process.getOutputStream();
            for (Memory each : inputs.values()) out.write(each.held().array());
            out.flush();
            for (Memory each : outputs.values())
                new DataInputStream(process.getInputStream()).readFully(each.held().array());
        } catch (IOException error) {
            throw new IllegalArgumentException(error);
        }
    }

    public String[] getSignatureKeys() { return keys; }
    public String[] getSignatureInputs(String key) {
        return inputs.keySet().toArray(new String[0]);
    }
    public Tensor getInputTensorFromSignature(String name, String key) {
        return found(inputs, name, key);
    }
    public Tensor getOutputTensorFromSignature(String name, String key) {
        return found(outputs, name, key);
    }
    public void close() {
        if (process != null) process.destroy();
        System.out.println("closed");
    }

    private Memory found(Map<String, Memory> all, String name, String key) {
        if (key.equals(keys[0]) && all.containsKey(name)) return all.get(name);
        throw new IllegalArgumentException("no tensor " + name + " of " + key);
    }

    public void runSignature(Map<String, Object> given, Map<String, Object> made, String key) {
        if (given.size() != inputs.size()) throw new IllegalArgumentException("inputs are missing");
        given.forEach((name, value) -> {
            ByteBuffer from = (ByteBuffer) value, into = found(inputs, name, key).held();
            if (from.capacity() != into.capacity()) throw new IllegalArgumentException("bytes");
            if (from.isDirect() && from.order() == ByteOrder.nativeOrder())
                into.put(0, from, 0, from.capacity()); // wherever its position is
            else into.clear().put(from);
        });
        if (process == null) step();
        else served();
        made.forEach((name, value) ->
            ((ByteBuffer) value).put(found(outputs, name, key).held().duplicate().clear()));
    }

    private void step() {
        Memory h = inputs.get("h"), c = inputs.get("c"), logits = outputs.get("logits");
        int token = inputs.get("tokens").held().getInt(0);
        for (int i = 0; i < 2; i++) {
            outputs.get("h_next").set(i, 10 * h.at(i) + token + i / 2f);
            outputs.get("c_next").set(i, c.at(i) - (i + 1) * token);
        }
        logits.set(0, outputs.get("h_next").at(0));
        logits.set(1, outputs.get("c_next").at(1));
        logits.set(2, token);
    }
}
"""
# LiteRT behind a pipe: names, types and shapes as lines, then for each step bytes in and out
SERVER = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter(model_path=sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
(key,) = interpreter.get_signature_list()
runner = interpreter.get_signature_runner(key)
given, made = ({name: details[name] for name in sorted(details)}
               for details in (runner.get_input_details(), runner.get_output_details()))
print(key)
for side, details in (("in", given), ("out", made)):
    for name, each in details.items():
        print(side, name, np.dtype(each["dtype"]).name.upper(), *each["shape"])
print(flush=True)
while True:
    feed = {}
    for name, each in given.items():
        count = int(np.prod(each["shape"])) * np.dtype(each["dtype"]).itemsize
        data = sys.stdin.buffer.read(count)
        if len(data) < count:
            sys.exit()
        feed[name] = np.frombuffer(data, each["dtype"]).reshape(each["shape"])
    outputs = runner(**feed)
    for name in made:
        sys.stdout.buffer.write(outputs[name].tobytes())
    sys.stdout.buffer.flush()
"""
SOURCES = {"DataType": DATA_TYPE, "Tensor": TENSOR, "Interpreter": INTERPRETER}
