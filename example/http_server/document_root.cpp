// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#include "document_root.hpp"

#include "descriptor_limit.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace http_server {

namespace {

// To look at what there is: to open a device may have an effect, and a named pipe lets its writer in.
constexpr int look_flags = O_PATH | O_CLOEXEC;
// O_NONBLOCK: what has become a named pipe meanwhile must not stop the loop.
constexpr int open_flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

std::string likely_cause(int error, const std::string& path)
{
    switch (error) {
    case ENOENT:
        return std::filesystem::path{path}.is_absolute()
                   ? "check the spelling of --root"
                   : "looked for in " + std::filesystem::current_path().string() +
                         "; --root sets another";
    case ENOTDIR:
        return "--root takes a folder, and this, or something on the way to it, is a file";
    case EACCES:
        return "this user may not read it";
    case EMFILE:
        return descriptor_limit_advice();
    default:
        return "check --root";
    }
}

// For kernels and sandboxes without openat2: one segment after the other, and no symbolic link at
// all.
int open_without_links(int root, const std::string& relative, int flags)
{
    file_descriptor folder{::fcntl(root, F_DUPFD_CLOEXEC, 0)};
    for (std::size_t begin = 0;;) {
        if (!folder)
            return -1;
        const auto slash = relative.find('/', begin);
        const auto segment = relative.substr(begin, slash - begin);
        if (slash == std::string::npos)
            return ::openat(folder.get(), segment.c_str(), flags | O_NOFOLLOW);
        folder = file_descriptor{
            ::openat(folder.get(), segment.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
        begin = slash + 1;
    }
}

} // namespace

file_descriptor::~file_descriptor()
{
    if (fd_ >= 0)
        ::close(fd_);
}

document_root::document_root(const std::string& path)
    : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC))
{
    if (!fd_) {
        const int error = errno;
        throw std::runtime_error{"cannot serve the folder '" + path +
                                 "': " + std::generic_category().message(error) + " (" +
                                 likely_cause(error, path) + ")"};
    }
    std::error_code ignored;
    if (const auto absolute = std::filesystem::canonical(path, ignored); !ignored)
        path_ = absolute.string();
}

opened_file document_root::open(const std::string& relative) const
{
    opened_file result;
    struct stat status {};
    for (const int flags : {look_flags, open_flags}) {
        result.fd = {}; // One at a time: they may be short.
        result.fd = file_descriptor{open_beneath(relative.empty() ? "." : relative, flags)};
        if (!result.fd || ::fstat(result.fd.get(), &status) != 0) {
            result.error = errno;
            return result;
        }
        if (!S_ISREG(status.st_mode))
            break;
    }
    if (S_ISLNK(status.st_mode)) // Without openat2.
        result.error = ELOOP;
    if (S_ISREG(status.st_mode))
        result.info.what = file_info::kind::regular;
    if (S_ISDIR(status.st_mode))
        result.info.what = file_info::kind::directory;
    result.info.size = static_cast<std::uint64_t>(status.st_size);
    result.info.modified = status.st_mtim.tv_sec;
    result.info.modified_ns = status.st_mtim.tv_nsec;
    return result;
}

int document_root::open_beneath(const std::string& relative, int flags) const
{
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS; // openat2(2): Linux 5.6
    // EAGAIN: something was renamed while the kernel followed a ".." inside of a link.
    for (int attempt = 0; attempt < 4; ++attempt) {
        const auto fd = ::syscall(SYS_openat2, fd_.get(), relative.c_str(), &how, sizeof how);
        if (fd >= 0)
            return static_cast<int>(fd);
        if (errno == ENOSYS || errno == EPERM)
            return open_without_links(fd_.get(), relative, flags);
        if (errno != EAGAIN && errno != EINTR)
            return -1;
    }
    return -1;
}

std::vector<std::string> document_root::list(std::size_t most) const
{
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator it{path_, error}, end; !error && it != end;
         it.increment(error)) {
        std::error_code unreadable;
        const auto type =
            it->symlink_status(unreadable).type(); // a link might lead out of the folder
        if (type == std::filesystem::file_type::regular)
            names.push_back(it->path().filename());
    }
    std::sort(names.begin(), names.end());
    names.resize(std::min(names.size(), most));
    return names;
}

} // namespace http_server
