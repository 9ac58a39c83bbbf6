import Glibc
import Support
import Testing

@Suite("Files that qq writes")
struct ReplacedFilesTests {
    private func kind(_ path: String) -> mode_t {
        var information = stat()
        return lstat(path, &information) == 0 ? information.st_mode & S_IFMT : 0
    }

    @Test("--record refuses pipes, devices and folders and leaves them alone; /dev/null is written in place")
    func recordTargets() async throws {
        try await inSandbox { box in
            mkfifo(box.path("pipe"), 0o600)
            symlink("pipe", box.path("link"))
            for (path, what) in [
                (box.path("pipe"), "a pipe"), (box.path("link"), "a pipe"), (box.leases, "a folder"), ("/dev/urandom", "a device"),
            ] {
                let run = try await box.run("watch", "x", "--record", path, "--for", "100ms")
                #expect(run.code == 64 && run.errors.contains("it is \(what), not a regular file"), "\(path): \(run.errors)")
            }
            #expect(kind(box.path("pipe")) == S_IFIFO && kind(box.path("link")) == S_IFLNK)
            #expect(try await box.run("watch", "x", "--record", "/dev/null", "--for", "100ms").code == 0)
            #expect(kind("/dev/null") == S_IFCHR)
        }
    }

    @Test("--metrics-file refuses pipes, devices and folders, keeps links, and leaves /dev/null a device")
    func metricsTargets() async throws {
        try await onQuorumQuest { quest in
            let box = quest.box
            mkfifo(box.path("pipe"), 0o600)
            for (path, what) in [(box.path("pipe"), "a pipe"), (box.leases, "a folder"), ("/dev/urandom", "a device")] {
                let run = try await quest.run("acquire", "x", "--metrics-file", path, "--", "true")
                #expect(run.code == 64 && run.errors.contains("it is \(what), not a regular file"), "\(path): \(run.errors)")
            }
            #expect(kind(box.path("pipe")) == S_IFIFO)
            try box.write("old", to: "metrics")
            symlink("metrics", box.path("link"))
            #expect(try await quest.run("acquire", "x", "--metrics-file", box.path("link"), "--", "true").code == 0)
            #expect(kind(box.path("link")) == S_IFLNK && box.read("metrics").contains("qq_requests_total"))
            #expect(try await quest.run("acquire", "x", "--metrics-file", "/dev/null", "--", "true").code == 0)
            #expect(kind("/dev/null") == S_IFCHR)
        }
    }

    @Test("a contexts file that is a link to a device is refused, and the device is left alone")
    func contextsTarget() async throws {
        try await inSandbox { box in
            for folder in ["config", "config/qq"] { mkdir(box.path(folder), 0o700) }
            symlink("/dev/full", box.path("config/qq/contexts.yaml"))
            symlink("/dev/zero", box.path("zero"))
            let run = try await box.run("context", "add", "a", "-s", "file:///x", environment: ["XDG_CONFIG_HOME": box.path("config")])
            #expect(run.code == 78 && kind("/dev/full") == S_IFCHR && kind(box.path("config/qq/contexts.yaml")) == S_IFLNK, "\(run.errors)")
        }
    }
}
