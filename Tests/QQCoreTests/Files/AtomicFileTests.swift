import Glibc
import QQCore
import Testing

@Suite("Atomic file replacement") struct AtomicFileTests {
    private func inFolder(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/qq-atomic-XXXXXX".utf8CString)
        let made = try #require(mkdtemp(&template))
        let folder = String(cString: made)
        defer {
            for name in ["file", "link", "pipe", "other", "dangling"] { unlink(folder + "/" + name) }
            rmdir(folder)
        }
        try body(folder)
    }

    private func read(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 100)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
    }

    @Test("an atomic write replaces or creates a regular file, and a link to one stays a link") func regular() throws {
        try inFolder { folder in
            for text in ["one", "two"] {
                try AtomicFile.write(Array(text.utf8), to: folder + "/file", mode: 0o644)
                #expect(read(folder + "/file") == text)
            }
            symlink("file", folder + "/link")
            try AtomicFile.write(Array("three".utf8), to: folder + "/link", mode: 0o644)
            var information = stat()
            #expect(lstat(folder + "/link", &information) == 0 && information.st_mode & S_IFMT == S_IFLNK)
            #expect(read(folder + "/file") == "three")
        }
    }

    @Test("an atomic write never replaces a pipe, a folder, a device or a dangling link") func others() throws {
        try inFolder { folder in
            mkfifo(folder + "/pipe", 0o600)
            symlink("nowhere", folder + "/dangling")
            symlink("/dev/urandom", folder + "/link")
            for (path, reason) in [
                (folder + "/pipe", "it is a pipe, not a regular file"), (folder, "it is a folder, not a regular file"),
                ("/dev/urandom", "it is a device, not a regular file"), (folder + "/link", "it is a device, not a regular file"),
                (folder + "/dangling", "it is a link to a file that does not exist"),
            ] {
                #expect(throws: AtomicFile.Failure(reason: reason), "\(path)") { try AtomicFile.write([1], to: path, mode: 0o644) }
            }
            #expect(try AtomicFile.target(of: "/dev/null") == .sink("/dev/null"))
            try AtomicFile.write([1], to: "/dev/null", mode: 0o644)
            var information = stat()
            #expect(stat("/dev/null", &information) == 0 && information.st_mode & S_IFMT == S_IFCHR)
        }
    }
}
