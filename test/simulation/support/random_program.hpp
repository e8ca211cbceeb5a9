// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "buffer_places.hpp"
#include "stream_model.hpp"

#include "support/blocking_peer.hpp"

#include <safer_ring/backend/simulated.hpp>
#include <safer_ring/ring/buffer_pool.hpp>
#include <safer_ring/ring/io_ring.hpp>

#include <array>
#include <coroutine>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <sys/un.h>
#include <utility>
#include <vector>

namespace programs {

using namespace safer_ring;

/// A pipe or a pair of sockets.
struct channel {
    explicit channel(report problem) : model(std::move(problem)) {}
    test_support::unique_descriptor reader, writer;
    registered_file reader_place, writer_place; // If they are registered.
    bool is_socket = false;
    unsigned readers = 0, writers = 0;
    bool retired = false;    // What was read from it is not known any more.
    unsigned operations = 0; // Not over, as far as the program knows.
    stream_model model;
};

/// Of the operations of a chain, what came of them; negative: the errno.
struct chain_outcome {
    bool hard = false;
    std::vector<std::optional<int>> results;
    std::vector<int> in_full; // The result without which what follows is cancelled.
};

/// What an operation is to the model.
struct meaning {
    enum class kind {
        plain,
        long_timeout,
        stream_read,
        stream_write,
        file_read,
        file_write,
        splices,
        accepts,
        connects,
        message,
        messages,
    };
    kind what = kind::plain;
    channel* on = nullptr;
    std::shared_ptr<piece> written;
    int fd = -1;
    int place = -1; // Of a registered file.
    std::shared_ptr<owned_descriptor> holds;
    std::uint64_t value = 0;         // Of a message.
    const std::byte* base = nullptr; // The identity of its buffer.
    const std::byte* data = nullptr;
    std::size_t size_bytes = 0;
    std::size_t offset = 0; // In the file.
    unsigned tag = 0;
    bool is_shared = false;
    std::vector<std::shared_ptr<meaning>> parts; // Of a vectored operation or a message.
    bool from_pool = false;
    bool without_copy = false; // Asked for, of a send.
    bool limited = false;
    bool drained = false;
    bool cancel_asked = false;
    std::uint64_t number = 0; // In the order of submission.
    ring::operation_id id = ring::operation_id::none;
    std::shared_ptr<chain_outcome> chain;
    std::size_t place_in_chain = 0;
};
using meaning_ptr = std::shared_ptr<meaning>;

/// A handle of any operation in any state.
class handle {
public:
    virtual ~handle() = default;
    [[nodiscard]] virtual bool is_building() const = 0;
    [[nodiscard]] virtual bool is_submitted() const = 0;
    [[nodiscard]] virtual bool is_over() const = 0; // Also when only the ring knows.
    virtual void submit() = 0;
    virtual void cancel() = 0;
    virtual bool wait(std::chrono::nanoseconds limit) = 0;
    virtual void complete() = 0; // Of what is over.
    virtual void take() = 0;
    virtual void call_back() = 0;
    virtual void await() = 0;
    virtual std::unique_ptr<handle> moved() = 0;
    meaning_ptr m;
};

class any_stream;

/// A coroutine that waits for one operation.
struct waiting_coroutine {
    struct promise_type {
        waiting_coroutine get_return_object()
        {
            return {std::coroutine_handle<promise_type>::from_promise(*this), {}};
        }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { throw; }
    };
    std::coroutine_handle<promise_type> coroutine;
    meaning_ptr m;
};

/// A program of random operations on an io_ring, with a model of where every
/// buffer and byte is. It is over when `run` returns.
class random_program {
public:
    struct totals_type {
        std::uint64_t steps = 0, submitted = 0, over = 0, cancelled = 0, late_results = 0,
                      given_up = 0, callbacks = 0, coroutines = 0, dropped_callbacks = 0,
                      chains = 0, timed_out = 0, drained = 0, bytes = 0, items = 0, descriptors = 0,
                      closed = 0, connections = 0, registrations = 0, messages = 0, splices = 0,
                      zero_copy_sends = 0, in_parts = 0;
    };

    /// On a simulated kernel with a plan of `seed`, or on the one that is here.
    random_program(std::uint64_t seed, bool simulated);
    random_program(const random_program&) = delete;
    random_program& operator=(const random_program&) = delete;
    ~random_program();

    void run(std::size_t steps);

    [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }
    [[nodiscard]] std::string describe() const;
    [[nodiscard]] const totals_type& totals() const { return totals_; }

private:
    template <typename Op>
    friend class handle_of;
    template <typename Op>
    friend waiting_coroutine wait_in_coroutine(random_program&, operation<Op, submitted>,
                                               meaning_ptr);
    friend struct callback_token;
    template <typename Kind>
    friend class stream_of;

    struct kept_buffer {
        owned_buffer bytes;
        const std::byte* base;
        unsigned tag;
        bool from_pool;
    };
    struct kept_shared {
        shared_buffer bytes;
        const std::byte* base;
        unsigned tag;
        bool from_pool;
    };
    struct kept_descriptor {
        owned_descriptor descriptor;
        bool is_socket;
    };
    /// What a stream has brought.
    struct view {
        owned_buffer bytes;
        std::vector<std::byte> content;
    };
    enum class message_state { unknown, failed, arrived, taken };
    struct thrown_by_callback {};

    // random_program.cpp: steps, buffers, the model
    std::size_t below(std::size_t bound) { return random_() % bound; }
    bool chance(unsigned per_mille) { return below(1000) < per_mille; }
    void problem(const std::string& what);
    void step();
    void act();
    void poll();
    void check_in_flight();
    void check_memory();
    void use_buffers();
    void keep(owned_buffer&& buffer, const std::byte* base, bool from_pool);
    std::optional<kept_buffer> take_buffer();
    void verify_buffers();
    void add_channel();
    void remove_retired();
    void use_a_handle();
    void cancel_something();
    template <typename F>
    void mark_cancelled(F of_these);
    void shut_down();
    void drop_handle(std::size_t index);
    void drop_coroutine(std::size_t index);
    std::unique_ptr<handle> taken_out(std::size_t index);
    void end();
    void end_with_everything_read();
    void end_with_handles_that_outlive_the_ring();
    void end_with_everything_given_up();
    void take_everything();
    void read_what_is_left(channel& c);

    // random_program_model.cpp: what becomes of operations
    void begins(const meaning_ptr& m);
    void is_over(meaning& m, int result, bool was_cancelled);
    void check_failure(const meaning& m, int error, bool was_cancelled);
    void check_chain(meaning& m, int result);
    void check_drain(const meaning& m);
    void come_back(meaning& m, int result, owned_buffer&& buffer);
    void come_back(meaning& m, shared_buffer&& buffer);
    void come_back(meaning& m, int result, std::vector<owned_buffer>&& buffers);
    void is_forgotten(meaning& m, bool begun, bool over);
    void is_dropped(const meaning_ptr& m, bool over);
    void leave_channel(meaning& m);
    void given_up_is_over();
    void callback_is_called();

    // random_program_operations.cpp: what is started
    void start_something();
    void start_chain();
    channel* channel_for(bool reads, std::optional<bool> is_socket);
    meaning_ptr plan_read(channel& c, kept_buffer& b);
    meaning_ptr plan_write(channel& c, kept_buffer& b);
    meaning_ptr plan_shared_write(channel& c, const kept_shared& b);
    meaning_ptr plan_file(kept_buffer& b, bool writes);
    void start_read();
    void start_write();
    void start_shared_write();
    template <typename Buffer>
    void start_send(file_ref to, Buffer bytes, meaning_ptr m);
    void start_in_parts();
    void start_file();
    void start_without_buffer();
    template <typename Op>
    void start(operation<Op, building> op, meaning_ptr m);
    template <typename... Ops>
    void start_linked(std::array<meaning_ptr, sizeof...(Ops)> all, operation<Ops, building>... ops);
    template <typename Op>
    void limit(operation<Op, building>& op, meaning& m, unsigned per_mille);
    unsigned next_tag(const channel* c);

    // random_program_descriptors.cpp: descriptors, registrations, messages
    void make_sources();
    file_ref end_of(channel& c, bool reads, meaning& m);
    void keep(owned_descriptor&& descriptor, bool is_socket);
    void come_back(meaning& m, int result, owned_descriptor&& descriptor);
    void come_back(meaning& m, int result, registered_file&& file);
    std::optional<kept_descriptor> take_descriptor(bool is_socket);
    void start_on_descriptors();
    void start_connect(const meaning_ptr& m);
    void check_connections();
    void start_allocate();
    void start_splice();
    void start_on_places();
    template <typename F>
    bool is_done(F f, bool may_be_busy);
    void change_registrations();
    void start_message();
    void message_is_over(const meaning& m, bool arrived);
    void message_came(std::uint64_t value);
    void check_messages();

    // random_program_streams.cpp
    void offer_buffers();
    template <typename Kind>
    void keep_stream(stream<Kind> made, meaning_ptr m);
    void start_stream();
    void use_a_stream();
    void drop_stream(std::size_t index);
    void drain_streams();
    void stream_is_over(meaning& m, const io_error& error);
    void item_came(const meaning_ptr& m, std::pair<io_result<std::size_t>, owned_buffer>&& item,
                   bool end);
    void item_came(const meaning_ptr& m, std::pair<io_result<int>, owned_descriptor>&& item,
                   bool end);
    void item_came(const meaning_ptr& m, io_result<std::uint64_t>&& item, bool end);
    void verify_views();
    void check_offered();

    std::mt19937_64 random_;
    const std::uint64_t seed_;
    totals_type totals_;
    std::vector<std::string> problems_;
    report report_;
    buffer_places places_;
    std::shared_ptr<backend::simulation> kernel_;
    options settings_;
    std::optional<buffer_pool> pool_;
    std::size_t pool_count_ = 0;
    std::list<channel> channels_;
    test_support::unique_descriptor file_;
    file_model file_content_;
    std::vector<kept_buffer> kept_;
    std::vector<kept_shared> shared_;
    std::map<std::uint64_t, meaning*> in_flight_; // As far as the program knows.
    std::vector<meaning_ptr> given_up_;
    std::vector<ring::operation_id> ids_;
    owned_descriptor listener_, pieces_;
    sockaddr_un address_{};
    socklen_t address_size_bytes_ = 0;
    std::size_t connecting_ = 0, connected_ = 0, connects_failed_ = 0, accepted_ = 0;
    bool connections_are_unknown_ = false; // Some were given up.
    std::vector<kept_descriptor> descriptors_;
    std::vector<registered_file> places_of_files_;
    std::optional<registered_buffers> registered_pool_;
    std::map<std::uint64_t, message_state> sent_;
    std::uint64_t last_value_ = 0, last_message_ = 0;
    std::unique_ptr<io_ring> ring_;
    std::optional<buffer_ring> offered_;
    std::vector<view> views_;
    std::vector<std::unique_ptr<any_stream>> streams_;
    std::vector<std::unique_ptr<handle>> handles_;
    std::vector<waiting_coroutine> coroutines_;
    std::size_t callbacks_ = 0;
    std::size_t given_up_in_flight_ = 0; // At most.
    std::uint64_t last_number_ = 0;
    unsigned last_tag_ = 0;
    bool in_callback_ = false;
    bool is_ending_ = false;
};

} // namespace programs
