// The C++ wrapper: exceptions, callbacks that throw, moves. wrapper SCAN PACKAGE
#include <atomic>
#include <cstdlib>
#include <diffvp.hpp>
#include <iostream>
#include <thread>

#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            std::cerr << __FILE__ << ':' << __LINE__ << ": " << #condition << '\n';        \
            std::exit(1);                                                                  \
        }                                                                                  \
    } while (0)

template <class F> std::int32_t status_of(F f)
{
    try {
        f();
    } catch (const diffvp::Error &error) {
        CHECK(std::string(error.what()).size() > 3);
        return error.status();
    }
    return DIFFVP_STATUS_OK;
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    CHECK(status_of([] { diffvp::Scan::open("/nowhere"); }) == DIFFVP_STATUS_NOT_FOUND);
    CHECK(status_of([] { diffvp::Reporter("/nowhere"); }) == DIFFVP_STATUS_NOT_FOUND);
    CHECK(status_of([] { diffvp::Options().random(-1.0f, 0, 1.0f); }) == DIFFVP_STATUS_INVALID_OPTION);
    CHECK(status_of([] { diffvp::Scan::from_dicom({}); }) != DIFFVP_STATUS_OK);

    CHECK(diffvp::abi_version() == DIFFVP_ABI_VERSION && diffvp::version().find('.') != std::string::npos);

    diffvp::Options options;
    options.spacing_mm({1.0, 1.0, 2.0}).no_spacing().threads(1).concurrency(2).seed(3).greedy().reference_index(1).max_new_tokens(24).max_voxels(1 << 20);
    diffvp::Scan first = diffvp::Scan::open(argv[1], &options);
    diffvp::Scan scan = std::move(first);
    CHECK(scan.dims()[2] == 32 && first.get() == nullptr);
    CHECK(status_of([&] { first.dims(); }) == DIFFVP_STATUS_NULL_ARGUMENT);
    CHECK(scan.source_json().find("nifti1") != std::string::npos);

    const diffvp::Grid grid = scan.grid();
    CHECK(grid.spacing_mm[2] > 0.0 && grid.direction[0] * grid.direction[0] > 0.9);
    CHECK(scan.voxels_hu().size() == 48 * 48 * 32);

    const diffvp::Reporter reporter(argv[2], &options);
    CHECK(!diffvp::runtime_version().empty() && diffvp::runtime_library().find("onnxruntime") != std::string::npos);
    CHECK(reporter.device() == "cpu" && !reporter.model_id().empty() && !reporter.model_version().empty());
    CHECK(reporter.manifest_json().find("\"format\"") != std::string::npos);

    std::string streamed;
    int stages = 0;
    diffvp::Listener listener;
    listener.on_text = [&](const std::string &text) { streamed += text; return true; };
    listener.on_progress = [&](std::int32_t stage, float) { return stage == stages++; };
    const diffvp::Report report = reporter.report(scan, &options, nullptr, listener);
    CHECK(streamed == report.text() && stages == 6);
    CHECK(report.findings().size() == 18 && report.importance().size() == 16);
    CHECK(report.map().size() == 48 * 48 * 32 && !report.warnings().empty() && !report.intended_use().empty());
    double at_mm[3] = {1e9, 1e9, 1e9};
    CHECK(report.map_peak(at_mm) > 0.0f && at_mm[0] < 1e6 && report.map_grid().spacing_mm[2] == grid.spacing_mm[2]);
    CHECK(!report.clinical_use());
    CHECK(report.json().find("diffvp-report/1") != std::string::npos && !report.sections().empty());
    CHECK(report.provenance_json().find("\"reference_index\": 1") != std::string::npos);
    CHECK(report.printed().size() > report.text().size());

    // What a listener throws comes out whole, and the reporter goes on working.
    struct Mine {
        int number;
    };
    listener.on_progress = nullptr;
    listener.on_text = [](const std::string &) -> bool { throw Mine{42}; };
    int caught = 0;
    try {
        reporter.report(scan, &options, nullptr, listener);
    } catch (const Mine &mine) {
        caught = mine.number;
    }
    CHECK(caught == 42);
    listener.on_text = [](const std::string &) { return false; };
    CHECK(status_of([&] { reporter.report(scan, &options, nullptr, listener); }) == DIFFVP_STATUS_CANCELLED);

    // A log callback hears from inside a report, and is told that it cannot make another one there.
    std::atomic<int> messages(0), told(0);
    {
        const diffvp::Log log(DIFFVP_LOG_DEBUG, [&](std::int32_t, const std::string &, const std::string &) {
            messages++;
            told += status_of([&] { reporter.report(scan, &options); }) == DIFFVP_STATUS_REENTRANT;
            told += status_of([&] { diffvp::Reporter{std::string(argv[2])}; }) == DIFFVP_STATUS_REENTRANT;
            told += status_of([&] { reporter.swap(argv[2]); }) == DIFFVP_STATUS_REENTRANT;
            told += status_of([] { diffvp::runtime_version(); }) == DIFFVP_STATUS_REENTRANT;
            throw Mine{7};
        });
        reporter.report(scan, &options);
    }
    // A later log takes the place of an earlier one, whose end does not end it.
    std::atomic<int> later(0);
    std::unique_ptr<diffvp::Log> log;
    for (int i = 0; i < 2; i++)
        log.reset(new diffvp::Log(DIFFVP_LOG_DEBUG, [&](std::int32_t, const std::string &, const std::string &) { later++; }));
    const int heard = messages;
    CHECK(heard > 0 && told == 4 * heard);
    reporter.report(scan, &options);
    CHECK(messages == heard && later > 0);
    log.reset();

    const diffvp::Cancel cancel;
    std::thread([&] { cancel.trigger(); }).join();
    CHECK(cancel.is_triggered());
    CHECK(status_of([&] { reporter.report(scan, &options, &cancel); }) == DIFFVP_STATUS_CANCELLED);
    CHECK(status_of([&] { reporter.swap("/nowhere"); }) == DIFFVP_STATUS_NOT_FOUND);
    reporter.swap(argv[2]);
    CHECK(reporter.report(scan, &options).text() == report.text());
    std::cout << "wrapper: all well\n";
    return 0;
}
