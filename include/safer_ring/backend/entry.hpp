// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#include <safer_ring/export.hpp>

#include <cerrno>
#include <cstdint>

/// Submission and completion entries, with the layout of the kernel's own.
///
/// The ring layer fills these and every backend executes them, so they are
/// named here once, without a liburing header. The io_uring backend checks
/// layout and values against liburing's with static assertions.
namespace safer_ring::inline SAFER_RING_ABI::backend {

/// What an entry asks for. Values are the kernel's (io_uring_enter(2)).
enum class opcode : std::uint8_t {
    nop = 0,
    readv = 1,
    writev = 2,
    fsync = 3,
    read_fixed = 4,
    write_fixed = 5,
    poll_add = 6,
    sendmsg = 9,
    recvmsg = 10,
    timeout = 11,
    accept = 13,
    async_cancel = 14,
    link_timeout = 15,
    connect = 16,
    fallocate = 17,
    openat = 18,
    close = 19,
    statx = 21,
    read = 22,
    write = 23,
    send = 26,
    recv = 27,
    splice = 30,
    shutdown = 34,
    msg_ring = 40,
    socket = 45,
    send_zc = 47,
    readv_fixed = 60,
    writev_fixed = 61,
    none = 255, ///< Refused with EINVAL by every kernel.
};

/// One request, laid out as struct io_uring_sqe.
struct submission_entry {
    opcode op = opcode::nop;
    std::uint8_t flags = 0;
    std::uint16_t ioprio = 0;
    std::int32_t fd = -1;
    std::uint64_t offset = 0;
    std::uint64_t address = 0;
    std::uint32_t length = 0;
    std::uint32_t op_flags = 0;
    std::uint64_t user_data = 0;
    std::uint16_t buffer_group = 0;
    std::uint16_t personality = 0;
    std::int32_t file_index = 0;
    std::uint64_t reserved[2] = {0, 0};
};
static_assert(sizeof(submission_entry) == 64);

/// One result, laid out as struct io_uring_cqe.
struct completion_entry {
    std::uint64_t user_data;
    std::int32_t result;
    std::uint32_t flags;
};
static_assert(sizeof(completion_entry) == 16);

/// submission_entry::flags: fd is an index into the registered files (Linux
/// 5.1).
inline constexpr std::uint8_t entry_fixed_file = 1U << 0;
/// submission_entry::flags: not begun before all earlier entries are complete
/// (Linux 5.2).
inline constexpr std::uint8_t entry_drain = 1U << 1;
/// submission_entry::flags: the next entry begins when this one has succeeded,
/// and is cancelled otherwise (Linux 5.3).
inline constexpr std::uint8_t entry_link = 1U << 2;
/// The same, but the next one begins whatever the result (Linux 5.5).
inline constexpr std::uint8_t entry_hard_link = 1U << 3;
/// submission_entry::flags: run by a worker thread of the kernel, which may
/// block, instead of being tried in the call that submits (Linux 5.6).
inline constexpr std::uint8_t entry_async = 1U << 4;
/// submission_entry::flags: take the buffer from buffer_group (Linux 5.7).
inline constexpr std::uint8_t entry_buffer_select = 1U << 5;

/// submission_entry::offset of read and write: where the file's own position
/// is, which moves on (Linux 5.6, IORING_FEAT_RW_CUR_POS).
inline constexpr std::uint64_t file_position = ~std::uint64_t{0};

/// submission_entry::ioprio of recv: arm the poll first instead of trying
/// (Linux 5.19).
inline constexpr std::uint16_t receive_poll_first = 1U << 0;
/// submission_entry::ioprio of send_zc: buffer_group is the index of a
/// registered buffer (Linux 6.0).
inline constexpr std::uint16_t send_registered_buffer = 1U << 2;
/// submission_entry::ioprio of recv: completes for whatever comes in until it
/// is cancelled or the buffers run out (Linux 6.0).
inline constexpr std::uint16_t receive_multishot = 1U << 1;
/// submission_entry::ioprio of recv with buffer selection: takes as many
/// buffers as there is data for, one behind the other (Linux 6.10).
inline constexpr std::uint16_t receive_bundle = 1U << 4;
/// submission_entry::ioprio of accept: completes for each connection (Linux
/// 5.19).
inline constexpr std::uint16_t accept_multishot = 1U << 0;
/// submission_entry::length of poll_add: completes each time (Linux 5.13).
inline constexpr std::uint32_t poll_multishot = 1U << 0;
/// submission_entry::op_flags of timeout and link_timeout: until that point in
/// time of CLOCK_MONOTONIC (Linux 5.4).
inline constexpr std::uint32_t timeout_absolute = 1U << 0;
/// submission_entry::op_flags of timeout: that the time is over is a success to
/// what is linked to it (Linux 5.16).
inline constexpr std::uint32_t timeout_is_success = 1U << 5;
/// submission_entry::op_flags of timeout: completes each time (Linux 6.4).
inline constexpr std::uint32_t timeout_multishot = 1U << 6;

/// submission_entry::op_flags of splice: file_index, which is what it reads
/// from, is an index into the registered files (Linux 5.7).
inline constexpr std::uint32_t splice_from_fixed = 1U << 31;

/// submission_entry::op_flags of fsync: the data, and of the file's attributes
/// only what it takes to read it (fdatasync(2)).
inline constexpr std::uint32_t fsync_data_only = 1U << 0;

/// What a recvmsg that completes again and again puts in front of each message in its
/// buffer, laid out as struct io_uring_recvmsg_out. Behind it come as many bytes as were
/// wanted for the address and for control data, and then the message
/// (io_uring_prep_recvmsg_multishot(3), Linux 6.0).
struct message_header {
    std::uint32_t address_bytes; ///< As long as it is, even if it did not fit.
    std::uint32_t control_bytes;
    std::uint32_t payload_bytes; ///< That are in the buffer.
    std::uint32_t flags;         ///< As of recvmsg(2): MSG_TRUNC.
};
static_assert(sizeof(message_header) == 16);

/// A time as timeouts have it, laid out as struct __kernel_timespec.
struct kernel_time {
    std::int64_t seconds;
    std::int64_t nanoseconds;
};

/// The result of a request as a system call would have it. A worker that is interrupted,
/// because its request was cancelled or its process is stopped, may answer with what the
/// kernel otherwise keeps to itself: ERESTARTSYS (open, fsync, splice; Linux 6.18).
constexpr std::int32_t as_of_system_call(std::int32_t result) noexcept
{
    constexpr std::int32_t restart_system_call = 512;
    return result == -restart_system_call ? -EINTR : result;
}

/// completion_entry::flags: a provided buffer was used; its id is in the
/// upper 16 bits.
inline constexpr std::uint32_t completion_buffer = 1U << 0;
/// completion_entry::flags: this request will complete again (Linux 5.13).
inline constexpr std::uint32_t completion_more = 1U << 1;
/// completion_entry::flags: the socket held more data (Linux 5.19).
inline constexpr std::uint32_t completion_socket_nonempty = 1U << 2;
/// completion_entry::flags: of two completions of a zero-copy send the one that
/// tells that the memory is the program's again (Linux 6.0).
inline constexpr std::uint32_t completion_notification = 1U << 3;
/// completion_entry::flags: the buffer is not used up, and what comes next is
/// put behind this (IOU_PBUF_RING_INC, Linux 6.12).
inline constexpr std::uint32_t completion_buffer_more = 1U << 4;
inline constexpr unsigned completion_buffer_shift = 16;

/// Of the registration of a buffer ring: IOU_PBUF_RING_INC (Linux 6.12).
inline constexpr std::uint16_t incremental_buffer_ring = 1U << 1;

/// A buffer offered to the kernel, laid out as struct io_uring_buf. The tail
/// of the ring overlays `tail` of the first element.
struct provided_buffer {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t id;
    std::uint16_t tail;
};
static_assert(sizeof(provided_buffer) == 16);

} // namespace safer_ring::inline SAFER_RING_ABI::backend
