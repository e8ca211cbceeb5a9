// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "program_stream.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sstream>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

// The steps of a program, and its end.
namespace programs {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t channel_count = 7;
constexpr std::size_t file_bytes = 8192;
constexpr std::size_t longest_buffer_bytes = 400;
constexpr std::size_t most_buffers = 60;
/// Turns a hang into a failure that tells its seed.
constexpr auto longest_wait = 20s;

options queue_sizes(std::mt19937_64& random)
{
    options settings;
    settings.submission_entries = 2U << random() % 6;
    settings.completion_entries = settings.submission_entries * 2;
    return settings;
}

/// Trouble that costs the engine a wait of a millisecond each time is rarer
/// than in the plans of others.
backend::simulation_plan plan_of(std::uint64_t seed)
{
    backend::simulation_plan plan = backend::simulation_plan::random(seed);
    plan.enter_error /= 30;
    plan.zero_copy_send = seed % 3 != 0;
    return plan;
}

} // namespace

random_program::random_program(std::uint64_t seed, bool simulated)
    : random_(seed), seed_(seed), report_([this](const std::string& what) { problem(what); }),
      places_(report_), settings_(queue_sizes(random_)), pool_count_(1 + below(32)),
      file_content_(file_bytes, report_)
{
    pool_.emplace(pool_count_, 16 + below(300));
    if (simulated) {
        kernel_ = std::make_shared<backend::simulation>(plan_of(seed));
        ring_ = std::make_unique<io_ring>(
            std::make_unique<backend::simulated_backend>(kernel_, settings_));
    } else {
        ring_ = std::make_unique<io_ring>(settings_);
    }
    file_ = test_support::unique_descriptor(::memfd_create("random_program", MFD_CLOEXEC));
    if (::ftruncate(file_.get(), file_bytes) != 0)
        problem("no file");
    make_sources();
    offer_buffers();
    while (channels_.size() < channel_count)
        add_channel();
}

random_program::~random_program()
{
    handles_.clear();
    streams_.clear();
    while (!coroutines_.empty())
        drop_coroutine(0);
}

void random_program::problem(const std::string& what)
{
    constexpr std::size_t enough = 5;
    if (problems_.size() < enough)
        problems_.push_back(what + " (step " + std::to_string(totals_.steps) + ")");
}

std::string random_program::describe() const
{
    std::ostringstream text;
    text << "SAFER_RING_SEED=" << seed_ << " replays it; a queue of "
         << settings_.submission_entries << ", a pool of " << pool_count_ << " buffers";
    if (kernel_)
        text << "; " << kernel_->plan().describe();
    if (ring_)
        text << "; in flight:\n" << ring_->describe();
    return text.str();
}

void random_program::add_channel()
{
    int ends[2];
    const bool is_socket = chance(450);
    const int error = is_socket ? ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)
                                : ::pipe2(ends, O_CLOEXEC);
    if (error != 0)
        return problem("no descriptors");
    channel& c = channels_.emplace_back(report_);
    c.is_socket = is_socket;
    c.reader = test_support::unique_descriptor(ends[0]);
    c.writer = test_support::unique_descriptor(ends[1]);
}

void random_program::remove_retired()
{
    std::erase_if(channels_, [](const channel& c) { return c.retired && c.operations == 0; });
    while (std::count_if(channels_.begin(), channels_.end(),
                         [](const channel& c) { return !c.retired; }) <
               static_cast<std::ptrdiff_t>(channel_count) &&
           problems_.empty())
        add_channel();
}

void random_program::run(std::size_t steps)
{
    for (std::size_t i = 0; i < steps && problems_.empty(); ++i)
        step();
    if (problems_.empty())
        end();
    if (ring_ && !ring_->shutdown(longest_wait))
        problem("the ring does not come to an end");
}

void random_program::step()
{
    ++totals_.steps;
    act();
    const std::size_t what = below(100);
    if (what < 25)
        poll();
    else if (what < 28)
        ring_->flush();
    if (totals_.steps % 16 == 0) {
        check_memory();
        verify_buffers();
        verify_views();
        remove_retired();
    }
}

void random_program::act()
{
    const std::size_t what = below(1000);
    if (what < 330)
        start_something();
    else if (what < 800)
        use_a_handle();
    else if (what < 890)
        use_buffers();
    else if (what < 930)
        use_a_stream();
    else if (what < 960)
        cancel_something();
    else if (what < 990 && !coroutines_.empty() && chance(300))
        drop_coroutine(below(coroutines_.size()));
    else if (what >= 990 && what < 998)
        change_registrations();
    else if (what == 999 && chance(300) && !in_callback_)
        shut_down();
    // Nothing else begins while what is drained waits for a read without data.
    const bool stalled =
        chance(100) && std::any_of(in_flight_.begin(), in_flight_.end(),
                                   [](const auto& each) { return each.second->drained; });
    if (stalled && chance(300)) {
        mark_cancelled([](const meaning&) { return true; });
        ring_->cancel_all();
    }
}

void random_program::poll()
{
    try {
        chance(100) ? ring_->run_one(0s) : ring_->poll();
        ring_->poll();
    } catch (const thrown_by_callback&) {
        return;
    }
    for (std::size_t i = coroutines_.size(); i-- != 0;)
        if (coroutines_[i].coroutine.done()) {
            coroutines_[i].coroutine.destroy();
            coroutines_.erase(coroutines_.begin() + static_cast<std::ptrdiff_t>(i));
        }
    if (!streams_.empty() && !is_ending_ && !chance(150))
        return; // Whether they are over is known when all is taken.
    drain_streams();
    check_in_flight();
    check_offered();
}

void random_program::keep(owned_buffer&& buffer, const std::byte* base, bool from_pool)
{
    buffer.consume(buffer.size()); // The whole memory is capacity again.
    buffer.resize(buffer.capacity());
    if (buffer.data() != base)
        problem("a buffer has other memory than it had");
    last_tag_ = (last_tag_ + 1) % tags;
    fill(buffer.bytes(), last_tag_);
    kept_.push_back({std::move(buffer), base, last_tag_, from_pool});
}

void random_program::use_buffers()
{
    const std::size_t what = below(100);
    if (what < 40 && pool_) {
        if (auto buffer = pool_->try_acquire()) {
            const std::byte* const base = buffer->data();
            places_.came(base, true);
            keep(std::move(*buffer), base, true);
        }
    } else if (what < 60 && kept_.size() < most_buffers) {
        owned_buffer buffer(1 + below(longest_buffer_bytes));
        const std::byte* const base = buffer.data();
        places_.came(base, false);
        keep(std::move(buffer), base, false);
    } else if (what < 75 && !kept_.empty()) {
        std::swap(kept_[below(kept_.size())], kept_.back());
        places_.leaves(kept_.back().base, buffer_places::caller);
        kept_.pop_back();
    } else if (what < 85 && !kept_.empty() && shared_.size() < 8) {
        kept_buffer b = std::move(kept_.back());
        kept_.pop_back();
        b.bytes.resize(1 + below(b.bytes.capacity()));
        places_.becomes_shared(b.base);
        shared_.push_back({std::move(b.bytes).freeze(), b.base, b.tag, b.from_pool});
    } else if (what < 95 && !shared_.empty()) {
        std::swap(shared_[below(shared_.size())], shared_.back());
        places_.leaves(shared_.back().base, buffer_places::caller);
        shared_.pop_back();
    } else if (!kept_.empty()) {
        owned_buffer elsewhere = std::move(kept_.back().bytes);
        kept_.back().bytes = owned_buffer();
        elsewhere.swap(kept_.back().bytes);
    }
}

void random_program::verify_buffers()
{
    for (const kept_buffer& b : kept_)
        if (!is_filled(b.bytes.bytes(), b.tag))
            return problem("somebody wrote to a buffer of the program");
    for (const kept_shared& b : shared_)
        if (!is_filled(b.bytes.bytes(), b.tag))
            return problem("somebody wrote to shared bytes");
}

// ------------------------------------------------------------------ handles

std::unique_ptr<handle> random_program::taken_out(std::size_t index)
{
    std::swap(handles_[index], handles_.back());
    std::unique_ptr<handle> h = std::move(handles_.back());
    handles_.pop_back();
    return h;
}

void random_program::drop_handle(std::size_t index)
{
    const std::unique_ptr<handle> dropped = taken_out(index);
    is_dropped(dropped->m, dropped->is_over());
}

void random_program::drop_coroutine(std::size_t index)
{
    const waiting_coroutine dropped = coroutines_[index];
    coroutines_.erase(coroutines_.begin() + static_cast<std::ptrdiff_t>(index));
    const bool done = dropped.coroutine.done();
    dropped.coroutine.destroy();
    if (!done)
        is_dropped(dropped.m, ring_ == nullptr);
}

void random_program::use_a_handle()
{
    if (handles_.empty())
        return;
    const std::size_t index = below(handles_.size());
    handle& h = *handles_[index];
    const std::size_t what = below(100);
    if (what < 12) {
        handles_[index] = h.moved();
    } else if (what < 16) {
        drop_handle(index);
    } else if (h.is_building()) {
        h.submit();
    } else if (h.is_submitted() && (what < 30 || (!h.is_over() && what < 36))) {
        const std::unique_ptr<handle> waiting = taken_out(index);
        what < 25 ? waiting->call_back() : waiting->await();
    } else if (h.is_over()) {
        if (h.is_submitted())
            h.complete();
        if (what < 90)
            taken_out(index)->take();
    } else if (what < 42) {
        h.m->cancel_asked = true;
        ids_.push_back(h.m->id);
        h.cancel();
    } else if (what < 50) {
        if (h.wait(0s) != h.is_over())
            problem("wait_for tells of something else than is_done");
    }
}

template <typename F>
void random_program::mark_cancelled(F of_these)
{
    for (const auto& [number, m] : in_flight_)
        if (of_these(*m))
            m->cancel_asked = true;
    for (const auto& s : streams_)
        if (of_these(*s->m))
            s->m->cancel_asked = true;
}

void random_program::cancel_something()
{
    const std::size_t what = below(100);
    if (what < 50 && !in_flight_.empty()) {
        auto any = in_flight_.lower_bound(1 + below(last_number_));
        meaning& m = *(any != in_flight_.end() ? any : in_flight_.begin())->second;
        m.cancel_asked = true;
        ids_.push_back(m.id);
        ring_->cancel(m.id);
    } else if (what < 75 && !ids_.empty()) { // Of what is over, most of the time.
        const ring::operation_id id = ids_[below(ids_.size())];
        mark_cancelled([id](const meaning& m) { return m.id == id; });
        ring_->cancel(id);
    } else if (what < 97) {
        auto c = channels_.begin();
        std::advance(c, static_cast<std::ptrdiff_t>(below(channels_.size())));
        const bool reads = chance(500);
        const registered_file& place = reads ? c->reader_place : c->writer_place;
        if (place.is_open() && chance(500)) {
            const int index = place.index();
            mark_cancelled([index](const meaning& m) { return m.place == index; });
            return ring_->cancel(place);
        }
        const int fd = reads ? c->reader.get() : c->writer.get();
        mark_cancelled([fd](const meaning& m) { return m.fd == fd; });
        ring_->cancel(fd);
    } else {
        mark_cancelled([](const meaning&) { return true; });
        ring_->cancel_all();
    }
}

/// Everything ends; the ring goes on.
void random_program::shut_down()
{
    mark_cancelled([](const meaning&) { return true; });
    if (!ring_->shutdown(longest_wait) || ring_->in_flight() != 0 || !ring_->describe().empty())
        problem("a ring that was shut down has operations");
    for (const auto& h : handles_)
        if (h->is_submitted() && !h->is_over())
            problem("an operation is not over after a shutdown");
}

// ------------------------------------------------------------------ the end

void random_program::end()
{
    for (std::size_t i = handles_.size(); i-- != 0;)
        if (handles_[i]->is_building())
            chance(500) ? handles_[i]->submit() : drop_handle(i);
    is_ending_ = true;
    const std::size_t how = below(100);
    if (how < 60)
        end_with_everything_read();
    else if (how < 80)
        end_with_handles_that_outlive_the_ring();
    else
        end_with_everything_given_up();
    kept_.clear();
    shared_.clear();
    given_up_in_flight_ = 0;
    check_offered();
    if (pool_ && pool_->statistics().available != pool_count_)
        problem("buffers of the pool are lost");
    if (!in_flight_.empty() || callbacks_ != 0)
        problem("operations were lost");
}

void random_program::take_everything()
{
    while (!handles_.empty()) {
        if (handles_.back()->is_building()) { // A callback left it.
            drop_handle(handles_.size() - 1);
            continue;
        }
        const std::unique_ptr<handle> h = taken_out(handles_.size() - 1);
        if (h->is_submitted())
            h->complete();
        h->take();
    }
}

void random_program::end_with_everything_read()
{
    const auto deadline = std::chrono::steady_clock::now() + longest_wait;
    const auto all_over = [this] {
        return callbacks_ == 0 && coroutines_.empty() && streams_.empty() &&
               given_up_in_flight_ == 0 && ring_->in_flight() == 0;
    };
    while (problems_.empty() && !all_over()) {
        mark_cancelled([](const meaning&) { return true; });
        ring_->cancel_all();
        poll();
        if (std::chrono::steady_clock::now() > deadline)
            problem("operations that were cancelled do not end");
    }
    if (!problems_.empty())
        return;
    take_everything();
    for (channel& c : channels_)
        if (!c.retired)
            read_what_is_left(c);
    check_connections();
    check_messages();
    ring_.reset();
}

/// Every byte whose write was reported is there.
void random_program::read_what_is_left(channel& c)
{
    ::fcntl(c.reader.get(), F_SETFL, O_NONBLOCK);
    std::vector<std::byte> bytes(4096);
    for (ssize_t n = 0; (n = ::read(c.reader.get(), bytes.data(), bytes.size())) > 0;)
        c.model.is_read(std::span(bytes).first(static_cast<std::size_t>(n)));
    c.model.is_drained();
}

/// What is due is not called any more.
void random_program::end_with_handles_that_outlive_the_ring()
{
    shut_down();
    if (!problems_.empty())
        return;
    for (std::size_t i = handles_.size(); i-- != 0;)
        if (handles_[i]->is_submitted() && chance(300))
            taken_out(i)->call_back();
    if (chance(500))
        pool_.reset();
    while (!streams_.empty() && chance(700))
        drop_stream(streams_.size() - 1);
    ring_.reset();
    while (!streams_.empty())
        drop_stream(streams_.size() - 1);
    if (chance(500))
        take_everything();
    while (!handles_.empty())
        drop_handle(handles_.size() - 1);
    while (!coroutines_.empty())
        drop_coroutine(coroutines_.size() - 1);
    given_up_is_over();
}

/// The ring's destructor waits for what was cancelled.
void random_program::end_with_everything_given_up()
{
    if (callbacks_ != 0)
        shut_down(); // Nobody could give them up.
    while (!handles_.empty())
        drop_handle(handles_.size() - 1);
    while (!coroutines_.empty())
        drop_coroutine(coroutines_.size() - 1);
    while (!streams_.empty())
        drop_stream(streams_.size() - 1);
    if (chance(300))
        pool_.reset();
    ring_.reset();
    given_up_is_over();
}

} // namespace programs
