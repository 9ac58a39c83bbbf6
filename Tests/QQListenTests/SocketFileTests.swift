import Glibc
import QQCore
import Support
import Testing
import Traits

@testable import QQListen

@Suite("Sockets in the file system", .ownThread) struct SocketFileTests {
    private func inFolder(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/qq-listen-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw CannotStart("no temporary folder") }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { removeTree(folder) }
        try body(folder)
    }

    private func problem(_ path: String) -> CoordinationError? {
        do throws(CoordinationError) {
            close(try ListenSocket.open(.unix(path)).descriptor)
            return nil
        } catch { return error }
    }

    private func information(_ path: String) -> stat? {
        var information = stat()
        return lstat(path, &information) == 0 ? information : nil
    }

    @Test("the file allows what the umask leaves of reading and writing by owner and group, and is removed at the end")
    func mode() throws {
        try inFolder { folder in
            let path = folder + "/s"
            let socket = try ListenSocket.open(.unix(path))
            defer { close(socket.descriptor) }
            let mask = umask(0o077)
            umask(mask)
            #expect(information(path)?.st_mode == S_IFSOCK | (0o660 & ~mask))
            socket.file?.remove()
            #expect(information(path) == nil)
        }
    }

    @Test("a socket on which nobody listens any more is replaced; one that is served, and other files, stay") func replaced() throws {
        try inFolder { folder in
            let path = folder + "/s"
            let first = try ListenSocket.open(.unix(path))
            #expect(problem(path)?.kind == .unavailable)
            close(first.descriptor)
            let left = try #require(information(path))
            let second = try ListenSocket.open(.unix(path))
            defer { close(second.descriptor) }
            #expect(information(path) != nil && left.st_mode & S_IFMT == S_IFSOCK)
            // The one that is gone must not remove the file of its successor, unless the kernel has reused the inode.
            if information(path)?.st_ino != left.st_ino {
                first.file?.remove()
                #expect(information(path) != nil)
            }
            close(creat(folder + "/file", 0o600))
            mkdir(folder + "/folder", 0o700)
            symlink(path, folder + "/link")
            for name in ["file", "folder", "link"] {
                #expect(problem(folder + "/" + name)?.kind == .configuration, "\(name)")
                #expect(information(folder + "/" + name) != nil)
            }
            #expect(problem(folder + "/none/s")?.kind == .unavailable, "the folder can still be made")
        }
    }

    @Test("a folder that another program keeps locked is reported") func locked() throws {
        try inFolder { folder in
            let lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            defer { close(lock) }
            #expect(flock(lock, LOCK_EX) == 0)
            #expect(problem(folder + "/s")?.reason.contains("locked") == true)
        }
    }

    @Test("requests are answered over a socket in the file system") func served() throws {
        try inFolder { folder in
            let path = folder + "/s"
            let listener = try Listener(.unix(path), limits: Limits(), failed: { _ in }, answer: { .text(200, $0.target) })
            defer { listener.stop() }
            let answer = try httpGet(unix: path, "/leader")
            #expect(answer.status == 200 && answer.body == Array("/leader\n".utf8))
        }
    }
}
