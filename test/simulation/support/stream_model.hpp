// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include "buffer_places.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <vector>

namespace programs {

/// One write to a stream.
struct piece {
    unsigned tag;
    std::size_t most;                 // Bytes that it had.
    std::optional<std::size_t> taken; // Of these, once its result is known.
    std::size_t seen = 0;             // Of these, by the reader.
    bool passed = false;              // The reader is at a later one.
};

/// What goes through a pipe or a pair of sockets: the beginnings of the pieces
/// that were written, in order.
class stream_model {
public:
    explicit stream_model(report problem) : problem_(std::move(problem)) {}

    std::shared_ptr<piece> begins(unsigned tag, std::size_t size_bytes)
    {
        return pieces_.emplace_back(std::make_shared<piece>(piece{tag, size_bytes, {}}));
    }
    /// No two pieces that could be taken for each other may be under way.
    [[nodiscard]] bool has(unsigned tag) const
    {
        for (const auto& p : pieces_)
            if (p->tag == tag)
                return true;
        return false;
    }
    void is_written(piece& p, std::size_t size_bytes)
    {
        p.taken = size_bytes;
        if (size_bytes > p.most)
            problem_("more was written than there was");
        if (size_bytes < p.seen || (p.passed && size_bytes != p.seen))
            problem_("what was read is not what was written");
    }
    void is_read(std::span<const std::byte> bytes)
    {
        for (const std::byte b : bytes) {
            const auto value = std::to_integer<unsigned>(b);
            if ((value & 0x80U) != 0 && !begin_piece(value & 0x7fU))
                return problem_("bytes of a write were lost, or nobody wrote them");
            if (pieces_.empty() || ((value & 0x80U) == 0 && pieces_.front()->seen == 0))
                return problem_("bytes came that nobody wrote");
            piece& p = *pieces_.front();
            if (p.seen >= p.taken.value_or(p.most) || b != byte_of(p.tag, p.seen))
                return problem_("a stream is out of order");
            ++p.seen;
        }
    }
    /// The stream is empty and nobody writes to it.
    void is_drained()
    {
        while (!pieces_.empty())
            pass();
    }

private:
    bool begin_piece(unsigned tag)
    {
        if (!pieces_.empty() && pieces_.front()->seen != 0)
            pass();
        while (!pieces_.empty() && pieces_.front()->tag != tag)
            pass();
        return !pieces_.empty();
    }
    void pass()
    {
        piece& p = *pieces_.front();
        p.passed = true;
        if (p.taken && *p.taken != p.seen)
            problem_("of " + std::to_string(*p.taken) + " bytes that were written " +
                     std::to_string(p.seen) + " came");
        pieces_.pop_front();
    }

    std::deque<std::shared_ptr<piece>> pieces_;
    report problem_;
};

/// The contents of a file, in blocks that are used by one writer or by readers.
class file_model {
public:
    static constexpr std::size_t block_bytes = 64;

    file_model(std::size_t size_bytes, report problem)
        : content_(size_bytes), blocks_(size_bytes / block_bytes), problem_(std::move(problem))
    {
    }
    [[nodiscard]] std::size_t size_bytes() const noexcept { return content_.size(); }

    bool may_be_used(std::size_t offset, std::size_t size_bytes, bool writes) const
    {
        bool may = true;
        each_block(offset, size_bytes,
                   [&](const block& b) { may = may && !b.written && (!writes || b.readers == 0); });
        return may;
    }
    void is_used(std::size_t offset, std::size_t size_bytes, bool writes)
    {
        each_block(offset, size_bytes, [writes](block& b) {
            b.written = writes;
            b.readers += writes ? 0 : 1;
        });
    }
    void is_written(std::size_t offset, std::size_t size_bytes, unsigned tag, std::size_t taken)
    {
        fill(std::span(content_).subspan(offset, taken), tag);
        each_block(offset, size_bytes, [](block& b) { b.written = false; });
        if (taken == size_bytes)
            for (std::size_t i = (offset + block_bytes - 1) / block_bytes;
                 (i + 1) * block_bytes <= offset + taken; ++i)
                blocks_[i].unknown = false;
    }
    void is_read(std::size_t offset, std::size_t size_bytes, std::span<const std::byte> bytes)
    {
        each_block(offset, size_bytes, [](block& b) { --b.readers; });
        for (std::size_t i = 0; i < bytes.size(); ++i)
            if (!blocks_[(offset + i) / block_bytes].unknown && bytes[i] != content_[offset + i])
                return problem_("a file has other bytes than were written");
    }
    /// Nobody will tell what the write brought.
    void is_given_up(std::size_t offset, std::size_t size_bytes, bool writes)
    {
        each_block(offset, size_bytes, [writes](block& b) {
            b.unknown = b.unknown || writes;
            b.readers -= writes ? 0 : 1;
        });
    }
    void given_up_is_over(std::size_t offset, std::size_t size_bytes)
    {
        each_block(offset, size_bytes, [](block& b) { b.written = false; });
    }

private:
    struct block {
        int readers = 0;
        bool written = false;
        bool unknown = false;
    };
    template <typename F>
    void each_block(std::size_t offset, std::size_t size_bytes, F f)
    {
        for (std::size_t i = offset / block_bytes; i * block_bytes < offset + size_bytes; ++i)
            f(blocks_[i]);
    }
    template <typename F>
    void each_block(std::size_t offset, std::size_t size_bytes, F f) const
    {
        for (std::size_t i = offset / block_bytes; i * block_bytes < offset + size_bytes; ++i)
            f(blocks_[i]);
    }

    std::vector<std::byte> content_;
    std::vector<block> blocks_;
    report problem_;
};

} // namespace programs
