// A stand-in for ONNX Runtime's header, for machines that have its library but not its header, as the Python
// wheel leaves them: the calls that model.cpp makes, with the signatures of the real header, over the C table
// that the library exports. The positions in the table are those of API version 17 and never change (the C
// API only grows). For tests alone: an app takes the real header. The library is found at run time at the
// path in ONNXRUNTIME_LIBRARY.
#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

enum OrtLoggingLevel { ORT_LOGGING_LEVEL_FATAL = 4 };
enum OrtAllocatorType { OrtArenaAllocator = 1 };
enum OrtMemType { OrtMemTypeDefault = 0 };
enum ONNXTensorElementDataType {
  ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED = 0
};  // and a number for each dtype

namespace Ort {

struct Exception : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace table {

enum Slot {
  kGetErrorMessage = 2,
  kCreateEnv = 3,
  kCreateSession = 7,
  kRun = 9,
  kCreateSessionOptions = 10,
  kSetIntraOpNumThreads = 24,
  kCreateTensorWithData = 49,
  kGetTensorMutableData = 51,
  kGetTensorElementType = 60,
  kGetDimensionsCount = 61,
  kGetDimensions = 62,
  kGetTensorTypeAndShape = 65,
  kCreateCpuMemoryInfo = 69,
  kReleaseEnv = 92,
  kReleaseStatus = 93,
  kReleaseMemoryInfo = 94,
  kReleaseSession = 95,
  kReleaseValue = 96,
  kReleaseTensorTypeAndShapeInfo = 99,
  kReleaseSessionOptions = 100,
};

struct Base {
  void* const* (*get_api)(std::uint32_t);
  const char* (*version)();
};

inline const Base* base() {
  const char* path = std::getenv("ONNXRUNTIME_LIBRARY");
  void* library = dlopen(path ? path : "libonnxruntime.so.1", RTLD_NOW);
  if (library == nullptr) throw Exception(dlerror());
  const auto get_base = reinterpret_cast<const Base* (*)()>(dlsym(library, "OrtGetApiBase"));
  if (get_base == nullptr) throw Exception("the library is no ONNX Runtime");
  return get_base();
}

inline void* const* open() {
  void* const* api = base()->get_api(17);
  if (api == nullptr) throw Exception("the library is no ONNX Runtime of API version 17 or later");
  return api;
}

template <class Result, class... Arguments>
Result call(Slot slot, Arguments... arguments) {
  static void* const* const api = open();
  return reinterpret_cast<Result (*)(Arguments...)>(api[slot])(arguments...);
}

// A call that returns a status: null, or an error to be thrown and released.
template <class... Arguments>
void run(Slot slot, Arguments... arguments) {
  if (void* status = call<void*>(slot, arguments...)) {
    const std::string message = call<const char*>(kGetErrorMessage, static_cast<const void*>(status));
    call<void>(kReleaseStatus, status);
    throw Exception(message);
  }
}

// Owns one object of the library.
template <Slot kRelease>
struct Handle {
  Handle() = default;
  explicit Handle(std::nullptr_t) {}
  Handle(Handle&& other) noexcept : pointer(std::exchange(other.pointer, nullptr)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(pointer, other.pointer);
    return *this;
  }
  ~Handle() {
    if (pointer != nullptr) call<void>(kRelease, pointer);
  }
  void* pointer = nullptr;
};

}  // namespace table

inline std::string GetVersionString() { return table::base()->version(); }

struct Env : table::Handle<table::kReleaseEnv> {
  Env(OrtLoggingLevel level, const char* name) {
    table::run(table::kCreateEnv, static_cast<int>(level), name, &pointer);
  }
};

struct SessionOptions : table::Handle<table::kReleaseSessionOptions> {
  SessionOptions() { table::run(table::kCreateSessionOptions, &pointer); }
  SessionOptions& SetIntraOpNumThreads(int threads) {
    table::run(table::kSetIntraOpNumThreads, pointer, threads);
    return *this;
  }
};

struct MemoryInfo : table::Handle<table::kReleaseMemoryInfo> {
  static MemoryInfo CreateCpu(OrtAllocatorType allocator, OrtMemType memory) {
    MemoryInfo info;
    table::run(table::kCreateCpuMemoryInfo, static_cast<int>(allocator), static_cast<int>(memory),
               &info.pointer);
    return info;
  }
};

struct TensorTypeAndShapeInfo : table::Handle<table::kReleaseTensorTypeAndShapeInfo> {
  ONNXTensorElementDataType GetElementType() const {
    int type = 0;
    table::run(table::kGetTensorElementType, static_cast<const void*>(pointer), &type);
    return static_cast<ONNXTensorElementDataType>(type);
  }
  std::vector<std::int64_t> GetShape() const {
    std::size_t count = 0;
    table::run(table::kGetDimensionsCount, static_cast<const void*>(pointer), &count);
    std::vector<std::int64_t> shape(count);
    table::run(table::kGetDimensions, static_cast<const void*>(pointer), shape.data(), count);
    return shape;
  }
};

struct Value : table::Handle<table::kReleaseValue> {
  static Value CreateTensor(const MemoryInfo& memory, void* data, std::size_t bytes,
                            const std::int64_t* shape, std::size_t axes, ONNXTensorElementDataType type) {
    Value value;
    table::run(table::kCreateTensorWithData, static_cast<const void*>(memory.pointer), data, bytes, shape,
               axes, static_cast<int>(type), &value.pointer);
    return value;
  }
  TensorTypeAndShapeInfo GetTensorTypeAndShapeInfo() const {
    TensorTypeAndShapeInfo info;
    table::run(table::kGetTensorTypeAndShape, static_cast<const void*>(pointer), &info.pointer);
    return info;
  }
  const void* GetTensorRawData() const {
    void* data = nullptr;
    table::run(table::kGetTensorMutableData, pointer, &data);
    return data;
  }
};

struct RunOptions {
  explicit RunOptions(std::nullptr_t) {}
};

struct Session : table::Handle<table::kReleaseSession> {
  explicit Session(std::nullptr_t) {}
  Session(const Env& env, const char* path, const SessionOptions& options) {
    table::run(table::kCreateSession, static_cast<const void*>(env.pointer), path,
               static_cast<const void*>(options.pointer), &pointer);
  }
  std::vector<Value> Run(const RunOptions&, const char* const* input_names, const Value* inputs,
                         std::size_t input_count, const char* const* output_names, std::size_t output_count) {
    std::vector<const void*> given;
    for (std::size_t index = 0; index < input_count; ++index) given.push_back(inputs[index].pointer);
    std::vector<void*> made(output_count);
    table::run(table::kRun, pointer, static_cast<const void*>(nullptr), input_names, given.data(),
               input_count, output_names, output_count, made.data());
    std::vector<Value> values(output_count);
    for (std::size_t index = 0; index < output_count; ++index) values[index].pointer = made[index];
    return values;
  }
};

}  // namespace Ort
