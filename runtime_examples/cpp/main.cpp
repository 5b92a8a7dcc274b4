// edgernn_run BUNDLE: writes text or a caption, checks the device against the golden run, or times a step.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <sstream>

#include "generate.hpp"
#include "golden.hpp"
#include "vectors.hpp"

namespace {

using namespace edgernn;

constexpr char kUsage[] =
    "usage: edgernn_run BUNDLE [--prompt TEXT | --image FILE.ppm] [--length N] [--temperature T] [--top-k K] "
    "[--top-p P] "
    "[--seed S] [--json] | --check | --time N, each with [--artifact PATH]";

struct Arguments {
  std::string bundle, prompt, image;
  std::optional<std::string> artifact;
  std::optional<double> temperature, top_p;
  std::optional<std::int64_t> top_k;
  Options options;
  bool check = false, json = false;
  std::int64_t time = 0;
};

double to_number(const std::string& flag, const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0') throw BundleError(flag + " is '" + text + "', expected a number");
  return value;
}

std::int64_t to_count(const std::string& flag, const std::string& text, int least = 0) {
  const double value = to_number(flag, text);
  if (!(value >= least && value <= 9e15 && value == std::floor(value))) {
    throw BundleError(flag + " is " + text + ", expected a whole number from " + std::to_string(least));
  }
  return static_cast<std::int64_t>(value);
}

std::uint64_t to_seed(const std::string& text) {
  errno = 0;
  const std::uint64_t seed = std::strtoull(text.c_str(), nullptr, 10);
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos || errno != 0) {
    throw BundleError("--seed is " + text +
                      ", expected a whole number of 0 to 18446744073709551615; give one");
  }
  return seed;
}

Arguments read_arguments(int count, char** values) {
  Arguments arguments;
  for (int index = 1; index < count; ++index) {
    const std::string flag = values[index];
    const auto value = [&]() -> std::string {
      if (++index >= count) throw BundleError(flag + " has no value; " + kUsage);
      return values[index];
    };
    if (flag == "--check") arguments.check = true;
    else if (flag == "--json") arguments.json = true;
    else if (flag == "--time") arguments.time = to_count(flag, value(), 1);
    else if (flag == "--prompt") arguments.prompt = value();
    else if (flag == "--image") arguments.image = value();
    else if (flag == "--artifact") arguments.artifact = value();
    else if (flag == "--length") arguments.options.length = to_count(flag, value());
    else if (flag == "--seed") arguments.options.seed = to_seed(value());
    else if (flag == "--temperature") arguments.temperature = to_number(flag, value());
    else if (flag == "--top-k") arguments.top_k = to_count(flag, value());
    else if (flag == "--top-p") arguments.top_p = to_number(flag, value());
    else if (flag.rfind("--", 0) == 0 || !arguments.bundle.empty()) {
      throw BundleError("unknown argument " + flag + "; " + kUsage);
    } else
      arguments.bundle = flag;
  }
  if (arguments.bundle.empty()) throw BundleError(std::string("no bundle given; ") + kUsage);
  return arguments;
}

// A binary PPM (P6) of exactly the size that the model looks at. Decoding and resizing are the app's: see the
// README.
Tensor read_picture(const std::string& path, const Bundle& bundle) {
  const auto fresh = Graph::with_role(bundle.contract.graph("encode").inputs, "input");
  const Shape shape = bundle.contract.shape(fresh.at(0));  // [1, height, width, channels]
  const std::string file = read_bytes(path);
  std::istringstream stream(file);
  std::string magic;
  std::int64_t width = 0, height = 0, highest = 0;
  stream >> magic >> width >> height >> highest;
  const std::size_t pixels = element_count(shape);
  if (magic != "P6" || !stream || highest != 255) {
    throw BundleError(path + " is no binary PPM picture of 8 bits; convert it to one");
  }
  if (height != shape.at(1) || width != shape.at(2)) {
    throw BundleError(path + " is " + std::to_string(width) + "x" + std::to_string(height) + ", expected " +
                      std::to_string(shape[2]) + "x" + std::to_string(shape[1]) +
                      "; resize the whole picture to that");
  }
  const auto start = static_cast<std::size_t>(stream.tellg()) + 1;  // one white space ends the header
  if (file.size() < start + pixels) throw BundleError(path + " is cut short; copy the picture again");
  return {shape, std::vector<std::uint8_t>(file.begin() + start, file.begin() + start + pixels)};
}

int run_check(const Model& model) {
  bool ok = true;
  std::vector<Line> lines;
  if (model.bundle.golden_path.empty()) {
    std::printf("%-16s - 0 not run; the bundle has no recorded run\n", "golden");
  } else
    lines = Golden(model.bundle).check(model);
  if (const auto tally = replay_vectors(model.bundle)) {
    lines.push_back({"uniforms", tally->numbers, 0});
    lines.push_back({"sampler", tally->tokens, 0});
  }
  if (model.bundle.has_tokenizer()) {
    const Tokenizer tokenizer(model.bundle);  // throws where it is another one
    lines.push_back({"tokenizer", 0, 0});
  }
  for (const Line& line : lines) {
    std::printf("%-16s %.1e %g %s\n", line.name.c_str(), line.worst, line.tolerance, line.verdict().c_str());
    ok = ok && line.ok();
  }
  return ok ? 0 : 1;
}

void run_time(const Model& model, std::int64_t steps) {
  const Golden golden(model.bundle);
  State state = golden.state_before(0);
  std::vector<double> times_us;
  for (std::int64_t step = 0; step < steps; ++step) {
    const Tensors inputs = golden.inputs(step % golden.steps());
    const auto start = std::chrono::steady_clock::now();
    state = model.step(inputs, state).state;
    times_us.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  const auto middle = times_us.begin() + static_cast<std::ptrdiff_t>(times_us.size() / 2);
  std::nth_element(times_us.begin(), middle, times_us.end());
  std::printf("{\"artifact\": %s, \"steps\": %lld, \"median_us\": %.1f}\n",
              json_string(model.artifact().path).c_str(), static_cast<long long>(steps), *middle);
}

void run_write(const Model& model, const Arguments& arguments) {
  if (!model.bundle.has_tokenizer()) {
    throw BundleError(
        "the bundle has no tokenizer, so that there is no text to write; replay its recorded run with "
        "--check");
  }
  const Tokenizer tokenizer(model.bundle);
  Options options = arguments.options;
  const Decoding& defaults = model.bundle.decoding;
  options.sampling = {arguments.temperature.value_or(defaults.temperature),
                      arguments.top_k.value_or(defaults.top_k), arguments.top_p.value_or(defaults.top_p)};
  check(options.sampling);
  Tokenizer::Writing writing(tokenizer);
  const auto show = [&](const std::string& text) {
    if (!arguments.json) std::fwrite(text.data(), 1, text.size(), stdout), std::fflush(stdout);
  };
  const OnToken on_token = [&](std::int64_t id) { show(writing.piece(id)); };
  std::vector<std::int64_t> tokens;
  if (arguments.image.empty()) {
    for (const std::int64_t id : tokenizer.encode(arguments.prompt)) on_token(id);  // as the model reads it
    tokens = generate(model, tokenizer, arguments.prompt, options, on_token);
  } else {
    if (!model.bundle.contract.encodes()) {
      throw BundleError("this bundle writes text, not captions; give --prompt TEXT");
    }
    tokens = caption(model, read_picture(arguments.image, model.bundle), options, on_token);
  }
  show(writing.end() + "\n");
  if (!arguments.json) return;
  std::string ids;
  for (const std::int64_t id : tokens) ids += (ids.empty() ? "" : ", ") + std::to_string(id);
  std::printf("{\"artifact\": %s, \"tokens\": [%s], \"text\": %s}\n",
              json_string(model.artifact().path).c_str(), ids.c_str(),
              json_string(tokenizer.decode(tokens)).c_str());
}

}  // namespace

int main(int count, char** values) {
  try {
    const Arguments arguments = read_arguments(count, values);
    const auto model = Model::load(arguments.bundle, arguments.artifact);
    if (arguments.check) return run_check(*model);
    if (arguments.time > 0) run_time(*model, arguments.time);
    else run_write(*model, arguments);
    return 0;
  } catch (const BundleError& error) {
    std::string line = error.what();
    std::replace_if(
        line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; },
        ' ');
    std::fprintf(stderr, "error: %s\n", line.c_str());
    return 2;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr,
                 "error: there is not enough memory for this bundle; expected some; close another program\n");
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: the bundle is not what this example reads (%s); export it again\n",
                 error.what());
    return 2;
  }
}
