// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

// Kernel constants newer than liburing 2.3, which Debian 12 has. They are
// kernel ABI and never change; a newer header at hand is checked against.

#include <safer_ring/backend/entry.hpp>

#include <liburing.h>

#include <cstddef>

namespace safer_ring::inline SAFER_RING_ABI::backend {

static_assert(sizeof(submission_entry) == sizeof(io_uring_sqe));
static_assert(offsetof(submission_entry, offset) == offsetof(io_uring_sqe, off));
static_assert(offsetof(submission_entry, address) == offsetof(io_uring_sqe, addr));
static_assert(offsetof(submission_entry, length) == offsetof(io_uring_sqe, len));
static_assert(offsetof(submission_entry, op_flags) == offsetof(io_uring_sqe, rw_flags));
static_assert(offsetof(submission_entry, user_data) == offsetof(io_uring_sqe, user_data));
static_assert(offsetof(submission_entry, buffer_group) == offsetof(io_uring_sqe, buf_group));
static_assert(offsetof(submission_entry, file_index) == offsetof(io_uring_sqe, splice_fd_in));
static_assert(sizeof(completion_entry) == sizeof(io_uring_cqe));
static_assert(offsetof(completion_entry, result) == offsetof(io_uring_cqe, res));
static_assert(sizeof(provided_buffer) == sizeof(io_uring_buf));
static_assert(offsetof(provided_buffer, id) == offsetof(io_uring_buf, bid));
static_assert(offsetof(provided_buffer, tail) == offsetof(io_uring_buf_ring, tail));

static_assert(int(opcode::nop) == IORING_OP_NOP);
static_assert(int(opcode::fsync) == IORING_OP_FSYNC);
static_assert(int(opcode::link_timeout) == IORING_OP_LINK_TIMEOUT);
static_assert(entry_drain == IOSQE_IO_DRAIN);
static_assert(entry_link == IOSQE_IO_LINK);
static_assert(entry_hard_link == IOSQE_IO_HARDLINK);
static_assert(fsync_data_only == IORING_FSYNC_DATASYNC);
static_assert(sizeof(kernel_time) == sizeof(__kernel_timespec));
static_assert(offsetof(kernel_time, nanoseconds) == offsetof(__kernel_timespec, tv_nsec));
static_assert(int(opcode::poll_add) == IORING_OP_POLL_ADD);
static_assert(int(opcode::timeout) == IORING_OP_TIMEOUT);
static_assert(timeout_absolute == IORING_TIMEOUT_ABS);
static_assert(timeout_is_success == IORING_TIMEOUT_ETIME_SUCCESS);
static_assert(int(opcode::accept) == IORING_OP_ACCEPT);
static_assert(int(opcode::async_cancel) == IORING_OP_ASYNC_CANCEL);
static_assert(int(opcode::connect) == IORING_OP_CONNECT);
static_assert(int(opcode::read) == IORING_OP_READ);
static_assert(int(opcode::write) == IORING_OP_WRITE);
static_assert(int(opcode::send) == IORING_OP_SEND);
static_assert(int(opcode::recv) == IORING_OP_RECV);
static_assert(int(opcode::fallocate) == IORING_OP_FALLOCATE);
static_assert(int(opcode::openat) == IORING_OP_OPENAT);
static_assert(int(opcode::close) == IORING_OP_CLOSE);
static_assert(int(opcode::splice) == IORING_OP_SPLICE);
static_assert(int(opcode::shutdown) == IORING_OP_SHUTDOWN);
static_assert(int(opcode::readv) == IORING_OP_READV);
static_assert(int(opcode::writev) == IORING_OP_WRITEV);
static_assert(int(opcode::read_fixed) == IORING_OP_READ_FIXED);
static_assert(int(opcode::write_fixed) == IORING_OP_WRITE_FIXED);
static_assert(int(opcode::sendmsg) == IORING_OP_SENDMSG);
static_assert(int(opcode::recvmsg) == IORING_OP_RECVMSG);
static_assert(int(opcode::statx) == IORING_OP_STATX);
static_assert(int(opcode::socket) == IORING_OP_SOCKET);
static_assert(int(opcode::send_zc) == IORING_OP_SEND_ZC);
static_assert(int(opcode::msg_ring) == IORING_OP_MSG_RING);
static_assert(send_registered_buffer == IORING_RECVSEND_FIXED_BUF);
static_assert(splice_from_fixed == SPLICE_F_FD_IN_FIXED);
static_assert(entry_fixed_file == IOSQE_FIXED_FILE);
static_assert(receive_multishot == IORING_RECV_MULTISHOT);
static_assert(sizeof(message_header) == sizeof(io_uring_recvmsg_out));
static_assert(offsetof(message_header, address_bytes) == offsetof(io_uring_recvmsg_out, namelen));
static_assert(offsetof(message_header, flags) == offsetof(io_uring_recvmsg_out, flags));
static_assert(accept_multishot == IORING_ACCEPT_MULTISHOT);
static_assert(poll_multishot == IORING_POLL_ADD_MULTI);
static_assert(completion_notification == IORING_CQE_F_NOTIF);
#ifdef IORING_RECVSEND_BUNDLE
static_assert(receive_bundle == IORING_RECVSEND_BUNDLE);
#endif
#ifdef IORING_TIMEOUT_MULTISHOT
static_assert(timeout_multishot == IORING_TIMEOUT_MULTISHOT);
#endif
#ifdef IORING_CQE_F_BUF_MORE
static_assert(completion_buffer_more == IORING_CQE_F_BUF_MORE);
#endif
static_assert(entry_async == IOSQE_ASYNC);
static_assert(entry_buffer_select == IOSQE_BUFFER_SELECT);
static_assert(receive_poll_first == IORING_RECVSEND_POLL_FIRST);
static_assert(completion_buffer == IORING_CQE_F_BUFFER);
static_assert(completion_more == IORING_CQE_F_MORE);
static_assert(completion_socket_nonempty == IORING_CQE_F_SOCK_NONEMPTY);
static_assert(completion_buffer_shift == IORING_CQE_BUFFER_SHIFT);

/// A wait counts as idleness, where the kernel has that (Linux 6.15): otherwise as waiting
/// for a disk, and an idle server as one that is held up by it (/proc/pressure/io).
inline constexpr unsigned feature_no_iowait = 1U << 17;
inline constexpr unsigned enter_no_iowait = 1U << 7;
#if defined(IORING_ENTER_NO_IOWAIT)
static_assert(enter_no_iowait == IORING_ENTER_NO_IOWAIT);
static_assert(feature_no_iowait == IORING_FEAT_NO_IOWAIT);
#endif

} // namespace safer_ring::inline SAFER_RING_ABI::backend
