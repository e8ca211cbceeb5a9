// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "conformance_objects/any_operation.hpp"
#include "files.hpp"

#include <array>
#include <memory>
#include <string>

#include <poll.h>

// Reads and writes of files. What a regular file has is there; what a stream
// file opened on a pipe has may have to be waited for.
namespace conformance {
namespace {

enum class transfer { read, write };

template <class Ctx>
class random_access_operation final : public typed_operation<random_access_operation<Ctx>> {
public:
    static constexpr unsigned abilities = fires | cancels | slots | closes | moves | releases;

    random_access_operation(Ctx& ctx, transfer what)
        : ctx_(ctx), what_(what), disk_("0123456789"),
          file_(
              std::make_unique<random_file_of<Ctx>>(ctx, disk_.path(), net::file_base::read_write))
    {
    }

    template <class Use>
    auto choose(Use use)
    {
        if (what_ == transfer::write)
            return use([this]<class Token>(Token&& token) {
                return file_->async_write_some_at(2, net::const_buffer("data", 4),
                                                  std::forward<Token>(token));
            });
        return use([this]<class Token>(Token&& token) {
            return file_->async_read_some_at(2, net::buffer(memory_), std::forward<Token>(token));
        });
    }

    net::any_io_executor get_executor() override { return ctx_.get_executor(); }
    void cancel() override { file_->cancel(); }
    void close() override { file_->close(); }
    void destroy() override { file_.reset(); }
    void move() override { file_ = std::make_unique<random_file_of<Ctx>>(std::move(*file_)); }
    int release() override { return file_->release(); }
    std::size_t number() const override { return 4; }

private:
    Ctx& ctx_;
    transfer what_;
    temporary_file disk_;
    std::unique_ptr<random_file_of<Ctx>> file_;
    std::array<char, 4> memory_{};
};

enum class medium { disk, pipe };

template <class Ctx>
class stream_operation final : public typed_operation<stream_operation<Ctx>> {
public:
    static constexpr unsigned abilities(medium where)
    {
        return random_access_operation<Ctx>::abilities | (where == medium::pipe ? waits : 0u);
    }

    stream_operation(Ctx& ctx, transfer what, medium where)
        : ctx_(ctx), what_(what), where_(where), disk_("0123456789")
    {
        if (where == medium::disk) {
            file_ = std::make_unique<stream_file_of<Ctx>>(ctx, disk_.path(),
                                                          net::file_base::read_write);
        } else {
            auto& mine = what == transfer::read ? ends_.read_end : ends_.write_end;
            file_ = std::make_unique<stream_file_of<Ctx>>(ctx, mine.release());
        }
        prepare();
    }

    template <class Use>
    auto choose(Use use)
    {
        if (what_ == transfer::write)
            return use([this]<class Token>(Token&& token) {
                return file_->async_write_some(net::const_buffer("data", 4),
                                               std::forward<Token>(token));
            });
        return use([this]<class Token>(Token&& token) {
            return file_->async_read_some(net::buffer(memory_), std::forward<Token>(token));
        });
    }

    net::any_io_executor get_executor() override { return ctx_.get_executor(); }

    void prepare() override
    {
        if (where_ == medium::disk)
            file_->seek(0, net::file_base::seek_set);
        else if (what_ == transfer::write)
            fill();
    }
    void fire() override
    {
        if (where_ == medium::disk)
            return;
        if (what_ == transfer::read)
            BOOST_TEST(::write(ends_.write_end.get(), "data", 4) == 4);
        else
            drain();
    }
    void cancel() override { file_->cancel(); }
    void close() override { file_->close(); }
    void destroy() override { file_.reset(); }
    void move() override { file_ = std::make_unique<stream_file_of<Ctx>>(std::move(*file_)); }
    int release() override { return file_->release(); }
    std::size_t number() const override { return 4; }

private:
    static bool is_ready(int fd, short events)
    {
        pollfd entry{fd, events, 0};
        return ::poll(&entry, 1, 0) > 0;
    }
    /// A pipe that is ready takes a page at once (pipe(7), PIPE_BUF).
    void fill()
    {
        const std::string page(4096, 'p');
        while (is_ready(file_->native_handle(), POLLOUT))
            BOOST_REQUIRE(::write(file_->native_handle(), page.data(), page.size()) > 0);
    }
    void drain()
    {
        char bytes[4096];
        while (is_ready(ends_.read_end.get(), POLLIN))
            BOOST_REQUIRE(::read(ends_.read_end.get(), bytes, sizeof bytes) > 0);
    }

    Ctx& ctx_;
    transfer what_;
    medium where_;
    temporary_file disk_;
    pipe_ends ends_;
    std::unique_ptr<stream_file_of<Ctx>> file_;
    std::array<char, 4> memory_{};
};

template <class Ctx>
void add_all(std::vector<kind>& kinds)
{
    using random = random_access_operation<Ctx>;
    using stream = stream_operation<Ctx>;
    for (const auto& [what, name] :
         {std::pair(transfer::read, "read"), {transfer::write, "write"}}) {
        kinds.push_back(kind_of<random, Ctx>(std::string("random_access_file_") + name,
                                             random::abilities, what));
        for (const auto& [where, prefix] :
             {std::pair(medium::disk, "stream_file_"), {medium::pipe, "stream_file_of_a_pipe_"}})
            kinds.push_back(kind_of<stream, Ctx>(std::string(prefix) + name,
                                                 stream::abilities(where), what, where));
    }
}

template <class... Ctx>
void add_on_each(std::vector<kind>& kinds, const std::tuple<Ctx...>*)
{
    (add_all<Ctx>(kinds), ...);
}

} // namespace

std::vector<kind> every_kind()
{
    std::vector<kind> kinds;
    add_on_each(kinds, static_cast<contexts*>(nullptr));
    return kinds;
}

} // namespace conformance
