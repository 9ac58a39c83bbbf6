import Glibc
import QQNetwork
import Testing

@Suite("Files of certificates") struct TLSFilesTests {
    @Test("a certificate file that is a pipe is refused, not waited for", arguments: [0, 1, 2]) func pipes(which: Int) throws {
        let path = "/tmp/qq-tls-\(getpid())-\(which)"
        mkfifo(path, 0o600)
        defer { unlink(path) }
        var options = TLSOptions()
        if which == 0 { options.authority = .file(path) } else { options.certificate = .file(path) }
        if which == 2 { options.key = .file(path) }
        do {
            _ = try TLSContext.make(options)
            Issue.record("was taken")
        } catch { #expect("\(error)".contains("it is not a regular file"), "\(error)") }
    }
}
