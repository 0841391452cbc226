// diffvp.hpp: C++11 over diffvp.h. Objects free themselves, failures are exceptions, callbacks may throw.
//
// Objects can be moved and not copied. What diffvp.h says of threads and lifetimes holds here too; text comes as
// std::string, so that it outlives its object.
#ifndef DIFFVP_HPP
#define DIFFVP_HPP

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <diffvp.h>

namespace diffvp {

// A call failed. what() says why; status() is a DIFFVP_STATUS_ number.
class Error : public std::runtime_error {
public:
    Error(std::int32_t status, const std::string &message) : std::runtime_error(message), status_(status) {}
    std::int32_t status() const noexcept { return status_; }
    const char *name() const noexcept { return diffvp_status_name(status_); }

private:
    std::int32_t status_;
};

namespace detail {

// Takes the error of a call, and throws where it failed.
class Check {
public:
    Check() = default;
    Check(const Check &) = delete;
    Check &operator=(const Check &) = delete;
    ~Check() { diffvp_error_free(error_); }
    diffvp_error **out() noexcept { return &error_; }
    void operator()(std::int32_t status) const
    {
        if (status == DIFFVP_STATUS_OK)
            return;
        const char *message = nullptr;
        if (diffvp_error_message(error_, &message) != DIFFVP_STATUS_OK)
            message = diffvp_status_meaning(status);
        throw Error(status, message);
    }

private:
    diffvp_error *error_ = nullptr;
};

// Calls f(arguments..., &error) and throws where it fails.
template <class F, class... Arguments> void call(F f, Arguments... arguments)
{
    Check check;
    check(f(arguments..., check.out()));
}

// Owns a handle.
template <class T, std::int32_t (*Free)(T *)> class Owner {
public:
    explicit Owner(T *handle = nullptr) noexcept : handle_(handle) {}
    Owner(Owner &&other) noexcept : handle_(other.handle_) { other.handle_ = nullptr; }
    Owner &operator=(Owner &&other) noexcept
    {
        std::swap(handle_, other.handle_);
        return *this;
    }
    Owner(const Owner &) = delete;
    Owner &operator=(const Owner &) = delete;
    ~Owner() { Free(handle_); }
    T *get() const noexcept { return handle_; }
    T **out() noexcept { return &handle_; }

private:
    T *handle_;
};

// Text of a function that hands out a diffvp_string.
template <class F, class... Arguments> std::string text(F f, Arguments... arguments)
{
    Owner<diffvp_string, diffvp_string_free> string;
    call(f, arguments..., string.out());
    const char *bytes = nullptr;
    std::size_t length = 0;
    call(diffvp_string_text, static_cast<const diffvp_string *>(string.get()), &bytes, &length);
    return std::string(bytes, length);
}

} // namespace detail

inline std::string version() { return diffvp_version(); }
inline std::uint32_t abi_version() { return diffvp_abi_version(); }

// Loads ONNX Runtime; an empty path searches. See diffvp_runtime_init.
inline void init_runtime(const std::string &library = std::string())
{
    detail::call(diffvp_runtime_init, library.empty() ? nullptr : library.c_str());
}
inline std::string runtime_version() { return detail::text(diffvp_runtime_version); }
inline std::string runtime_library() { return detail::text(diffvp_runtime_library); }

// Hears the messages of the library, on any thread, several at a time; see diffvp_log_callback. One at a time in a
// process: a later one takes the place of an earlier one. Ends when it is destroyed. What the function throws is dropped.
class Log {
public:
    using Function = std::function<void(std::int32_t level, const std::string &target, const std::string &message)>;
    Log(std::int32_t max_level, Function function) : function_(new Function(std::move(function)))
    {
        const std::lock_guard<std::mutex> guard(mutex());
        detail::call(diffvp_log_set, on_log, max_level, static_cast<void *>(function_.get()));
        current() = this;
    }
    Log(const Log &) = delete;
    Log &operator=(const Log &) = delete;
    ~Log()
    {
        const std::lock_guard<std::mutex> guard(mutex());
        if (current() != this)
            return;
        // Inside its own callback a log cannot end: the function is then kept for good.
        if (diffvp_log_set(nullptr, 0, nullptr, nullptr) == DIFFVP_STATUS_OK)
            current() = nullptr;
        else
            static_cast<void>(function_.release());
    }

private:
    static std::mutex &mutex()
    {
        static std::mutex mutex;
        return mutex;
    }
    static Log *&current()
    {
        static Log *log = nullptr;
        return log;
    }
    static void on_log(std::int32_t level, const char *target, const char *message, void *user_data) noexcept
    {
        try {
            (*static_cast<Function *>(user_data))(level, target, message);
        } catch (...) {
        }
    }
    std::unique_ptr<Function> function_;
};

// Where voxels lie: see diffvp_scan_grid.
struct Grid {
    double spacing_mm[3];
    double direction[9];
    double origin_mm[3];
};

// Settings with defaults; see the functions of the same name in diffvp.h.
class Options {
public:
    Options() { detail::call(diffvp_options_new, owner_.out()); }
    Options &device(std::int32_t device, std::uint32_t index = 0) { return set(diffvp_options_set_device, device, index); }
    Options &gpu(std::uint32_t flags) { return set(diffvp_options_set_gpu, flags); }
    Options &threads(std::size_t count) { return set(diffvp_options_set_threads, count); }
    Options &concurrency(std::size_t reports) { return set(diffvp_options_set_concurrency, reports); }
    Options &seed(std::uint64_t seed) { return set(diffvp_options_set_seed, seed); }
    Options &greedy() { return set(diffvp_options_set_sampling_greedy); }
    Options &random(float temperature, std::size_t top_k, float top_p)
    {
        return set(diffvp_options_set_sampling_random, temperature, top_k, top_p);
    }
    Options &reference_seeded() { return set(diffvp_options_set_reference_seeded); }
    Options &reference_index(std::size_t index) { return set(diffvp_options_set_reference_index, index); }
    Options &reference_id(const std::string &id) { return set(diffvp_options_set_reference_id, id.c_str()); }
    Options &max_new_tokens(std::size_t tokens) { return set(diffvp_options_set_max_new_tokens, tokens); }
    Options &sections(std::int32_t order) { return set(diffvp_options_set_sections, order); }
    Options &any_body_part(bool any) { return set(diffvp_options_set_any_body_part, any ? 1 : 0); }
    Options &max_voxels(std::uint64_t voxels) { return set(diffvp_options_set_max_voxels, voxels); }
    Options &series_instance_uid(const std::string &uid)
    {
        return set(diffvp_options_set_series_instance_uid, uid.empty() ? nullptr : uid.c_str());
    }
    Options &spacing_mm(const double (&spacing)[3])
    {
        return set(diffvp_options_set_spacing_mm, static_cast<const double *>(spacing));
    }
    Options &no_spacing() { return set(diffvp_options_set_spacing_mm, static_cast<const double *>(nullptr)); }
    const diffvp_options *get() const noexcept { return owner_.get(); }

private:
    template <class F, class... Arguments> Options &set(F f, Arguments... arguments)
    {
        detail::call(f, owner_.get(), arguments...);
        return *this;
    }
    detail::Owner<diffvp_options, diffvp_options_free> owner_;
};

struct Warning {
    std::string code;
    std::string message;
};

namespace detail {

template <class T>
std::vector<Warning> warnings(const T *object, std::int32_t (*count_of)(const T *, std::size_t *, diffvp_error **),
                              std::int32_t (*get)(const T *, std::size_t, const char **, const char **, diffvp_error **))
{
    std::size_t count = 0;
    call(count_of, object, &count);
    std::vector<Warning> result;
    for (std::size_t i = 0; i < count; i++) {
        const char *code = nullptr;
        const char *message = nullptr;
        call(get, object, i, &code, &message);
        result.push_back(Warning{code, message});
    }
    return result;
}

} // namespace detail

// A scan in memory, which never changes.
class Scan {
public:
    static Scan open(const std::string &path, const Options *options = nullptr)
    {
        Scan scan;
        detail::call(diffvp_scan_open, path.c_str(), raw(options), scan.owner_.out());
        return scan;
    }
    // DICOM files in memory, in any order.
    static Scan from_dicom(const std::vector<std::pair<const void *, std::size_t>> &files, const Options *options = nullptr)
    {
        std::vector<const void *> buffers;
        std::vector<std::size_t> sizes;
        for (const auto &file : files) {
            buffers.push_back(file.first);
            sizes.push_back(file.second);
        }
        Scan scan;
        detail::call(diffvp_scan_from_dicom, static_cast<const void *const *>(buffers.data()),
                     static_cast<const std::size_t *>(sizes.data()), files.size(), raw(options), scan.owner_.out());
        return scan;
    }
    // Voxels in HU, x fastest; direction (nine values, row by row) and origin may be null. All is copied.
    static Scan from_hu(const std::int16_t *voxels_hu, std::size_t count, const std::size_t (&dims)[3],
                        const double (&spacing_mm)[3], const double *direction = nullptr,
                        const double *origin_mm = nullptr, const Options *options = nullptr)
    {
        return make(diffvp_scan_from_hu_i16, voxels_hu, count, dims, spacing_mm, direction, origin_mm, options);
    }
    static Scan from_hu(const float *voxels_hu, std::size_t count, const std::size_t (&dims)[3],
                        const double (&spacing_mm)[3], const double *direction = nullptr,
                        const double *origin_mm = nullptr, const Options *options = nullptr)
    {
        return make(diffvp_scan_from_hu_f32, voxels_hu, count, dims, spacing_mm, direction, origin_mm, options);
    }
    std::vector<std::size_t> dims() const
    {
        std::vector<std::size_t> dims(3);
        detail::call(diffvp_scan_dims, get(), dims.data());
        return dims;
    }
    Grid grid() const
    {
        Grid grid = {};
        detail::call(diffvp_scan_grid, get(), grid.spacing_mm, grid.direction, grid.origin_mm);
        return grid;
    }
    // A copy of the voxels in HU, x fastest.
    std::vector<float> voxels_hu() const
    {
        const float *values = nullptr;
        std::size_t count = 0;
        detail::call(diffvp_scan_voxels, get(), &values, &count);
        return std::vector<float>(values, values + count);
    }
    std::vector<Warning> warnings() const
    {
        return detail::warnings(get(), diffvp_scan_warning_count, diffvp_scan_warning);
    }
    std::string source_json() const
    {
        const char *json = nullptr;
        detail::call(diffvp_scan_source_json, get(), &json);
        return json;
    }
    const diffvp_scan *get() const noexcept { return owner_.get(); }

private:
    Scan() = default;
    static const diffvp_options *raw(const Options *options) { return options ? options->get() : nullptr; }
    template <class F, class T>
    static Scan make(F f, const T *voxels, std::size_t count, const std::size_t *dims, const double *spacing,
                     const double *direction, const double *origin, const Options *options)
    {
        Scan scan;
        detail::call(f, voxels, count, dims, spacing, direction, origin, raw(options), scan.owner_.out());
        return scan;
    }
    detail::Owner<diffvp_scan, diffvp_scan_free> owner_;
};

// Stops reports from any thread.
class Cancel {
public:
    Cancel() { detail::call(diffvp_cancel_new, owner_.out()); }
    void trigger() const { detail::call(diffvp_cancel_trigger, get()); }
    bool is_triggered() const
    {
        std::int32_t triggered = 0;
        detail::call(diffvp_cancel_is_triggered, get(), &triggered);
        return triggered != 0;
    }
    const diffvp_cancel *get() const noexcept { return owner_.get(); }

private:
    detail::Owner<diffvp_cancel, diffvp_cancel_free> owner_;
};

struct Section {
    std::string region;
    std::string heading;
    std::string text;
};

struct Finding {
    std::string name;
    float probability;
    float threshold;
    bool present;
};

// A report, which never changes.
class Report {
public:
    std::string text() const { return string(diffvp_report_text); }
    std::string printed() const { return string(diffvp_report_printed); }
    std::string json() const { return string(diffvp_report_json); }
    std::string provenance_json() const { return string(diffvp_report_provenance_json); }
    std::vector<Section> sections() const
    {
        std::vector<Section> result;
        for (std::size_t i = 0, count = number(diffvp_report_section_count); i < count; i++) {
            const char *region = nullptr, *heading = nullptr, *text = nullptr;
            detail::call(diffvp_report_section, get(), i, &region, &heading, &text);
            result.push_back(Section{region, heading, text});
        }
        return result;
    }
    std::vector<Finding> findings() const
    {
        std::vector<Finding> result;
        for (std::size_t i = 0, count = number(diffvp_report_finding_count); i < count; i++) {
            const char *name = nullptr;
            float probability = 0, threshold = 0;
            std::int32_t present = 0;
            detail::call(diffvp_report_finding, get(), i, &name, &probability, &threshold, &present);
            result.push_back(Finding{name, probability, threshold, present != 0});
        }
        return result;
    }
    std::vector<float> importance() const
    {
        const float *values = nullptr;
        std::size_t count = 0;
        detail::call(diffvp_report_importance, get(), &values, &count);
        return std::vector<float>(values, values + count);
    }
    std::vector<Warning> warnings() const
    {
        return detail::warnings(get(), diffvp_report_warning_count, diffvp_report_warning);
    }
    std::vector<std::size_t> map_dims() const
    {
        std::vector<std::size_t> dims(3);
        detail::call(diffvp_report_map_dims, get(), dims.data());
        return dims;
    }
    Grid map_grid() const
    {
        Grid grid = {};
        detail::call(diffvp_report_map_grid, get(), grid.spacing_mm, grid.direction, grid.origin_mm);
        return grid;
    }
    // The highest value among the model's features, and where it is; see diffvp_report_map_peak.
    float map_peak(double (&position_mm)[3]) const
    {
        float value = 0;
        detail::call(diffvp_report_map_peak, get(), &value, static_cast<double *>(position_mm));
        return value;
    }
    // The difference map on the scan's grid, x fastest.
    std::vector<float> map() const
    {
        const std::vector<std::size_t> dims = map_dims();
        std::vector<float> values(dims[0] * dims[1] * dims[2]);
        detail::call(diffvp_report_map, get(), values.data(), values.size());
        return values;
    }
    std::string intended_use() const
    {
        const char *statement = nullptr;
        detail::call(diffvp_report_intended_use, get(), static_cast<std::int32_t *>(nullptr), &statement);
        return statement;
    }
    bool clinical_use() const
    {
        std::int32_t yes = 0;
        detail::call(diffvp_report_intended_use, get(), &yes, static_cast<const char **>(nullptr));
        return yes != 0;
    }
    const diffvp_report *get() const noexcept { return owner_.get(); }

private:
    friend class Reporter;
    Report() = default;
    template <class F> std::string string(F f) const
    {
        const char *text = nullptr;
        std::size_t length = 0;
        detail::call(f, get(), &text, &length);
        return std::string(text, length);
    }
    template <class F> std::size_t number(F f) const
    {
        std::size_t count = 0;
        detail::call(f, get(), &count);
        return count;
    }
    detail::Owner<diffvp_report, diffvp_report_free> owner_;
};

// What hears of a report in the making. Returns true to go on. What a listener throws stops the report and comes
// out of Reporter::report.
struct Listener {
    std::function<bool(const std::string &text)> on_text;
    std::function<bool(std::int32_t stage, float done)> on_progress;
};

// A loaded model package. Threads may share one.
class Reporter {
public:
    explicit Reporter(const std::string &package, const Options *options = nullptr)
    {
        detail::call(diffvp_reporter_open, package.c_str(), options ? options->get() : nullptr, owner_.out());
    }
    void swap(const std::string &package) const { detail::call(diffvp_reporter_swap, get(), package.c_str()); }
    std::string model_id() const { return detail::text(diffvp_reporter_model_id, get()); }
    std::string model_version() const { return detail::text(diffvp_reporter_model_version, get()); }
    std::string manifest_json() const { return detail::text(diffvp_reporter_manifest_json, get()); }
    std::string device() const { return detail::text(diffvp_reporter_device, get()); }
    Report report(const Scan &scan, const Options *options = nullptr, const Cancel *cancel = nullptr,
                  const Listener &listener = Listener()) const
    {
        Call state{listener, nullptr};
        Report report;
        detail::Check check;
        const std::int32_t status = diffvp_reporter_report_streaming(
            get(), scan.get(), options ? options->get() : nullptr, cancel ? cancel->get() : nullptr, on_text, on_progress,
            &state, report.owner_.out(), check.out());
        if (state.thrown)
            std::rethrow_exception(state.thrown);
        check(status);
        return report;
    }
    const diffvp_reporter *get() const noexcept { return owner_.get(); }

private:
    struct Call {
        const Listener &listener;
        std::exception_ptr thrown;
    };
    template <class F> static std::int32_t guarded(void *user_data, F f) noexcept
    {
        Call &call = *static_cast<Call *>(user_data);
        try {
            return f(call.listener) ? 0 : 1;
        } catch (...) {
            call.thrown = std::current_exception();
            return 1;
        }
    }
    // C++ functions with C linkage types are needed only where the two differ, which they do nowhere today.
    static std::int32_t on_text(const char *text, std::size_t length, void *user_data) noexcept
    {
        return guarded(user_data, [=](const Listener &l) { return !l.on_text || l.on_text(std::string(text, length)); });
    }
    static std::int32_t on_progress(std::int32_t stage, float done, void *user_data) noexcept
    {
        return guarded(user_data, [=](const Listener &l) { return !l.on_progress || l.on_progress(stage, done); });
    }
    detail::Owner<diffvp_reporter, diffvp_reporter_free> owner_;
};

} // namespace diffvp

#endif // DIFFVP_HPP
