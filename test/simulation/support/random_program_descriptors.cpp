// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "handle_of.hpp"

#include <algorithm>
#include <cstddef>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <unistd.h>

// Operations that make, use and close descriptors, registrations, and messages.
namespace programs {
namespace {

using kind = meaning::kind;

constexpr std::size_t most_descriptors = 12;
constexpr std::size_t most_places = 4;
constexpr std::size_t longest_piece_bytes = 256;
constexpr int backlog = 64;

} // namespace

/// A listening socket, and a file with all pieces that can be written.
void random_program::make_sources()
{
    listener_ = owned_descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    address_.sun_family = AF_UNIX; // Without a name the kernel chooses one.
    auto* const generic = reinterpret_cast<sockaddr*>(&address_);
    address_size_bytes_ = sizeof address_;
    if (::bind(listener_.get(), generic, sizeof address_.sun_family) != 0 ||
        ::listen(listener_.get(), backlog) != 0 ||
        ::getsockname(listener_.get(), generic, &address_size_bytes_) != 0)
        problem("no listening socket");
    pieces_ = owned_descriptor(::memfd_create("pieces", MFD_CLOEXEC));
    std::vector<std::byte> all(std::size_t{tags} * longest_piece_bytes);
    for (unsigned tag = 0; tag < tags; ++tag)
        fill(std::span(all).subspan(tag * longest_piece_bytes, longest_piece_bytes), tag);
    if (::write(pieces_.get(), all.data(), all.size()) != static_cast<ssize_t>(all.size()))
        problem("no file of pieces");
}

/// Registered or not, as `m` tells then.
file_ref random_program::end_of(channel& c, bool reads, meaning& m)
{
    registered_file& place = reads ? c.reader_place : c.writer_place;
    m.fd = reads ? c.reader.get() : c.writer.get();
    if (!place.is_open() || !chance(600))
        return m.fd;
    m.fd = -1;
    m.place = place.index();
    return place;
}

// ---------------------------------------------------------------- descriptors

void random_program::keep(owned_descriptor&& descriptor, bool is_socket)
{
    const int flags = ::fcntl(descriptor.get(), F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) == 0)
        problem("a descriptor has come that is not open, or goes to other programs");
    for (const kept_descriptor& d : descriptors_)
        if (d.descriptor.get() == descriptor.get())
            problem("a descriptor has come that the program has already");
    ++totals_.descriptors;
    descriptors_.push_back({std::move(descriptor), is_socket});
}

void random_program::come_back(meaning& m, int result, owned_descriptor&& descriptor)
{
    if (result < 0) {
        if (descriptor.is_open())
            problem("an operation failed and brought a descriptor");
        return;
    }
    if (descriptor.get() != result)
        problem("another descriptor has come than was told");
    accepted_ += m.what == kind::accepts ? 1 : 0;
    keep(std::move(descriptor), m.what == kind::accepts);
}

void random_program::come_back(meaning&, int result, registered_file&& file)
{
    if (result < 0) {
        if (file.is_open())
            problem("an operation failed and brought a registered file");
        return;
    }
    if (!file.is_open() || file.index() != result)
        problem("another registered file has come than was told");
    places_of_files_.push_back(std::move(file));
}

std::optional<random_program::kept_descriptor> random_program::take_descriptor(bool is_socket)
{
    for (kept_descriptor& d : descriptors_)
        if (!is_socket || d.is_socket) {
            std::swap(d, descriptors_.back());
            std::optional<kept_descriptor> taken(std::move(descriptors_.back()));
            descriptors_.pop_back();
            return taken;
        }
    return std::nullopt;
}

void random_program::start_on_descriptors()
{
    const auto m = std::make_shared<meaning>();
    const bool room = descriptors_.size() < most_descriptors;
    switch (below(room ? 9 : 2)) {
    case 0:
        if (auto d = take_descriptor(false)) {
            m->fd = d->descriptor.get();
            ++totals_.closed;
            start(ring_->close(std::move(d->descriptor)), m);
        }
        return;
    case 1:
        if (auto d = take_descriptor(true)) {
            m->holds = std::make_shared<owned_descriptor>(std::move(d->descriptor));
            m->fd = m->holds->get();
            start(ring_->shutdown(m->fd, SHUT_RDWR), m);
        }
        return;
    case 2:
        return start(ring_->open("/dev/null", O_RDWR), m);
    case 3:
    case 4:
        m->what = kind::accepts;
        m->fd = listener_.get();
        return start(ring_->accept(m->fd), m);
    default:
        return start_connect(m);
    }
}

void random_program::start_connect(const meaning_ptr& m)
{
    if (connecting_ - std::min(connecting_, accepted_ + connects_failed_) >= backlog / 2)
        return;
    m->what = kind::connects;
    m->holds = std::make_shared<owned_descriptor>(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    m->fd = m->holds->get();
    ++connecting_;
    const auto* const generic = reinterpret_cast<const sockaddr*>(&address_);
    start(ring_->connect(m->fd, generic, address_size_bytes_), m);
}

/// Of the connections that were made none is lost, and none has come that nobody
/// made.
void random_program::check_connections()
{
    ::fcntl(listener_.get(), F_SETFL, O_NONBLOCK);
    while (owned_descriptor(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)).is_open())
        ++accepted_;
    if (accepted_ + connects_failed_ > connecting_ ||
        (!connections_are_unknown_ && accepted_ != connected_))
        problem("connections are lost, or nobody made them");
}

// ------------------------------------------------------- what is in the file

void random_program::start_allocate()
{
    auto m = std::make_shared<meaning>();
    m->fd = file_.get();
    const std::size_t size = 1 + below(file_content_.size_bytes() - 1);
    start(ring_->allocate(m->fd, below(file_content_.size_bytes() - size), size), m);
}

/// A piece comes from the file of all pieces.
void random_program::start_splice()
{
    channel* const c = channel_for(false, false);
    if (c == nullptr)
        return;
    auto m = std::make_shared<meaning>();
    m->what = kind::splices;
    m->on = c;
    m->tag = next_tag(c);
    m->size_bytes = 1 + below(longest_piece_bytes);
    m->written = c->model.begins(m->tag, m->size_bytes);
    ++c->writers;
    ++c->operations;
    file_ref to = end_of(*c, false, *m);
    start(ring_->splice(pieces_.get(), m->tag * longest_piece_bytes, std::move(to),
                        io_ring::no_offset, m->size_bytes),
          m);
}

// -------------------------------------------------------------- registrations

void random_program::start_on_places()
{
    auto m = std::make_shared<meaning>();
    if (!ring_->found().registered_files)
        return;
    if (places_of_files_.size() < most_places && chance(600)) {
        return start(ring_->open_direct("/dev/null", O_RDWR), m);
    }
    if (places_of_files_.empty())
        return;
    std::swap(places_of_files_[below(places_of_files_.size())], places_of_files_.back());
    registered_file file = std::move(places_of_files_.back());
    places_of_files_.pop_back();
    if (chance(200))
        return; // Closed by the end of the handle.
    m->place = file.index();
    ++totals_.closed;
    start(ring_->close(std::move(file)), m);
}

template <typename F>
bool random_program::is_done(F f, bool may_be_busy)
{
    try {
        f();
        return true;
    } catch (const std::system_error& e) {
        const bool is_busy = e.code() == std::errc::device_or_resource_busy;
        if (is_busy && may_be_busy)
            return false;
        problem(std::string("a registration failed for no reason: ") + e.what());
        return false;
    }
}

void random_program::change_registrations()
{
    if (!ring_->found().registered_files || !ring_->found().registered_buffers)
        return;
    ++totals_.registrations;
    if (chance(200)) {
        if (!registered_pool_ && pool_)
            is_done([this] { registered_pool_.emplace(ring_->register_buffers(*pool_)); }, false);
        else if (registered_pool_ && chance(500))
            registered_pool_.reset();
        else if (registered_pool_ &&
                 is_done([this] { ring_->unregister(std::move(*registered_pool_)); }, true))
            registered_pool_.reset();
        return;
    }
    auto c = channels_.begin();
    std::advance(c, static_cast<std::ptrdiff_t>(below(channels_.size())));
    const bool reads = chance(500);
    registered_file& place = reads ? c->reader_place : c->writer_place;
    const int fd = reads ? c->reader.get() : c->writer.get();
    const std::size_t what = below(100);
    if (!place.is_open())
        is_done([&] { place = ring_->register_file(fd); }, false);
    else if (what < 30)
        place = registered_file();
    else if (what < 60)
        is_done([&] { ring_->replace(place, fd); }, c->operations != 0);
    else if (is_done([&] { ring_->unregister(std::move(place)); }, c->operations != 0))
        place = registered_file();
}

// ------------------------------------------------------------------- messages

void random_program::start_message()
{
    auto m = std::make_shared<meaning>();
    m->what = kind::message;
    // Numbered when it is submitted, in the order in which it goes.
    m->value = ++last_value_;
    auto op = ring_->message_ring(ring_->address(), m->value);
    sent_.emplace(m->value, message_state::unknown);
    begins(m);
    handles_.push_back(
        std::make_unique<handle_of<ops::message_ring>>(*this, std::move(op).submit(), m));
}

void random_program::message_is_over(const meaning& m, bool arrived)
{
    message_state& state = sent_.at(m.value);
    if (!arrived && state == message_state::taken)
        problem("a message has come that was not sent");
    if (state == message_state::unknown)
        state = arrived ? message_state::arrived : message_state::failed;
}

/// Each once, and in order, unless the completions come in another one.
void random_program::message_came(std::uint64_t value)
{
    const auto found = sent_.find(value);
    if (found == sent_.end() || found->second == message_state::failed ||
        found->second == message_state::taken)
        return problem("a message has come that nobody sent, or twice");
    if (!kernel_ && value < last_message_)
        problem("messages are out of order");
    found->second = message_state::taken;
    last_message_ = value;
}

/// Those that were said to be there are there.
void random_program::check_messages()
{
    {
        auto rest = ring_->messages();
        while (auto item = rest.try_next())
            message_came(item->value());
    }
    for (const auto& [value, state] : sent_)
        if (state == message_state::arrived)
            problem("a message is lost");
}

} // namespace programs
