import Glibc
import QQCore
import Testing

@Suite("Files and folders") struct FilesTests {
    private func inFolder(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/qq-files-XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template)))
        defer { remove(folder) }
        try body(folder)
    }

    private func remove(_ path: String) {
        for name in (try? Folder.names(in: path)) ?? [] { remove(path + "/" + name) }
        if unlink(path) != 0 { rmdir(path) }
    }

    @Test("a file is read up to the limit, whatever its size", arguments: [0, 1, 100, 128 << 10, (128 << 10) + 1, 700_000])
    func limit(size: Int) throws {
        try inFolder { folder in
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 / 3) }
            try AtomicFile.replace(folder + "/file", with: bytes, mode: 0o600)
            for limit in [0, 1, size / 2, size, size + 1, 1 << 20] {
                #expect(try ReadableFile.contents(of: folder + "/file", upTo: limit) == Array(bytes.prefix(limit)), "limit \(limit)")
            }
        }
    }

    @Test("a FIFO is not waited for, a folder cannot be read, and a link is refused if links are not followed") func kinds() throws {
        try inFolder { folder in
            mkfifo(folder + "/pipe", 0o600)
            symlink("pipe", folder + "/link")
            let bytes = try ReadableFile.contents(of: folder + "/link", upTo: 10)
            #expect(bytes == [])
            #expect(throws: SystemCallError("read", code: EISDIR)) { try ReadableFile.contents(of: folder, upTo: 10) }
            #expect(throws: SystemCallError("open", code: ENOENT)) { try ReadableFile.contents(of: folder + "/none", upTo: 10) }
            #expect(throws: SystemCallError("open", code: ELOOP)) {
                _ = try ReadableFile(folder + "/link", followsLinks: false).read(upTo: 10)
            }
        }
    }

    @Test("a folder is made with those above it, each with its own mode, and one that exists is left as it is") func make() throws {
        try inFolder { folder in
            try Folder.make(folder + "/a/b/c", mode: 0o700, parentMode: 0o750)
            func mode(_ path: String) -> mode_t {
                var status = stat()
                return stat(folder + path, &status) == 0 ? status.st_mode & 0o777 : 0
            }
            #expect(mode("/a") & 0o007 == 0 && mode("/a") & 0o700 == 0o700 && mode("/a/b/c") == 0o700)
            chmod(folder + "/a/b/c", 0o500)
            try Folder.make(folder + "/a/b/c")
            #expect(mode("/a/b/c") == 0o500)
            #expect(Set(try Folder.names(in: folder + "/a")) == ["b"])
            let expected = FileError(path: folder + "/x/y", cause: SystemCallError("mkdir", code: ENOENT))
            #expect(throws: expected) { try Folder.make(folder + "/x/y", parentMode: nil) }
            #expect(throws: FileError.self) { try Folder.make("/proc/nowhere/y") }
        }
    }

    @Test("replacing a file fails without a trace if the folder is missing, and replaces a link itself") func replace() throws {
        try inFolder { folder in
            #expect(throws: SystemCallError("open", code: ENOENT)) {
                try AtomicFile.replace(folder + "/none/file", with: [1], mode: 0o600)
            }
            symlink("/dev/null", folder + "/link")
            try AtomicFile.replace(folder + "/link", with: [1], mode: 0o600, isDurable: true)
            #expect(try ReadableFile.contents(of: folder + "/link", upTo: 10) == [1])
            #expect(try Folder.names(in: folder) == ["link"])
        }
    }
}
