import Glibc
import Support
import Testing

@Suite("make install") struct InstallTests {
    private func make(_ target: String, in repository: String = Repository.top, prefix: String = "/usr", _ box: Sandbox) async throws -> Run
    {
        try await box.start(
            ["make", "-C", repository, target, "DESTDIR=" + box.path("root"), "PREFIX=" + prefix, "BINARY=/bin/echo"]
        ).finish(within: .seconds(120))
    }

    @Test("it installs every page, completion, unit, document and example, and make uninstall removes them again")
    func everything() async throws {
        try await inSandbox { box in
            let installed = try await make("install", box)
            #expect(installed.code == 0, "\(installed.errors)")
            let files = try await box.filesBelow(box.path("root/usr"))
            let expected = Repository.installed
            #expect(files == expected, "\(files.symmetricDifference(expected).sorted())")
            for section in ["man1", "man5", "man7"] { #expect(files.contains { $0.hasPrefix("share/man/\(section)/") }) }

            let removed = try await make("uninstall", box)
            #expect(removed.code == 0, "\(removed.errors)")
            #expect(try await box.filesBelow(box.path("root")).isEmpty)
            #expect(access(box.path("root/usr/share/doc/qq"), F_OK) != 0)
        }
    }

    @Test("a page that cannot be installed fails make, which names it") func failure() async throws {
        try await inSandbox { box in
            let copy = try await box.copyRepository()
            // The list begins with other pages: a loop that went on would end well.
            unlink(copy + "/man/qq-nats.7")
            mkdir(copy + "/man/qq-nats.7", 0o755)
            let run = try await make("install", in: copy, box)
            #expect(run.code != 0 && run.errors.contains("qq-nats.7"), "\(run.errors)")
        }
    }

    @Test("units run the binary where it was installed", arguments: ["/usr", "/usr/local", "/opt/qq"])
    func units(prefix: String) async throws {
        try await inSandbox { box in
            let copy = try await box.copyRepository()
            mkdir(copy + "/packaging/systemd", 0o755)
            try box.write("[Service]\nExecStart=/usr/bin/qq keepalive %i\n", to: copy + "/packaging/systemd/qq-test@.service")
            let run = try await make("install", in: copy, prefix: prefix, box)
            #expect(run.code == 0, "\(run.errors)")
            let folder = box.path("root\(prefix)/lib/systemd/system/")
            #expect(readText(folder + "qq-test@.service") == "[Service]\nExecStart=\(prefix)/bin/qq keepalive %i\n")
            for unit in Repository.units {
                let starts = execStarts(in: readText(folder + unit)).filter { $0.contains("/bin/qq ") }
                #expect(starts.allSatisfy { $0.contains("\(prefix)/bin/qq ") }, "\(unit): \(starts)")
            }
        }
    }

    @Test("the release binary is linked without a run path") func runPath() async throws {
        try await inSandbox { box in
            let run = try await box.start(["make", "-n", "-C", Repository.top, "release-qq"]).finish()
            #expect(run.code == 0 && run.text.contains(" --disable-local-rpath "), "\(run.text) \(run.errors)")
        }
    }
}
