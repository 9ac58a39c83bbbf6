import Glibc
import QQCore
import Support
import Testing

@Suite("The Debian package", .enabled(if: DebianPackage.isPossible, "dpkg-dev or make is not here (Scripts/need deb)"))
struct DebianPackageTests {
    @Test("it has everything that make install installs, where Debian has it") func contents() async throws {
        let package = try await DebianPackage.shared()
        try await inSandbox { box in
            let listed = try await box.start(["sh", "-c", "dpkg-deb --fsys-tarfile \"$1\" | tar -tf -", "sh", package.path]).finish()
            let files = Set(listed.lines.filter { !$0.hasSuffix("/") })
            let moved = [
                "share/zsh/site-functions/_qq": "share/zsh/vendor-completions/_qq",
                "share/doc/qq/CHANGELOG.md": "share/doc/qq/changelog.gz",
            ]
            let expected = Repository.installed.map { file in "./usr/" + (moved[file] ?? (file.contains("/man/") ? file + ".gz" : file)) }
            let own = ["./usr/share/doc/qq/changelog.Debian.gz", "./usr/share/lintian/overrides/qq"]
            #expect(files == Set(expected + own), "\(files.symmetricDifference(expected + own).sorted())")

            let owners = try await box.start(["dpkg-deb", "-c", package.path]).finish()
            #expect(owners.lines.allSatisfy { $0.contains(" root/root ") }, "\(owners.text)")
        }
    }

    @Test("its fields name the version, the libraries that qq links, and who answers for it") func fields() async throws {
        let package = try await DebianPackage.shared()
        try await inSandbox { box in
            let fields = try await box.start(["dpkg-deb", "-f", package.path]).finish().text
            #expect(fields.contains("Package: qq\nVersion: \(version)-1\n"), "\(fields)")
            #expect(fields.contains(/\nMaintainer: .+ <.+@.+>\n/) && fields.contains(/\nInstalled-Size: [0-9]{3,}\n/), "\(fields)")
            #expect(fields.contains(/\nDepends: (.*, )?libc6 \(>= 2\.[0-9]+\)/), "\(fields)")
            #expect(package.path.contains("/qq_\(version)-1_"))
        }
    }

    @Test(
        "dpkg installs it into a root of its own, where it runs, and purges all of it but fencing counters",
        .enabled(if: containersArePossible, "this user can make no user namespace here"))
    func life() async throws {
        let package = try await DebianPackage.shared()
        try await inSandbox(.heavy) { box in
            let words = ["unshare", "-Urm", "sh", "-c", DebianPackage.life, "sh", box.path("root"), package.path]
            let run = try await box.start(words).finish(within: .seconds(300))
            #expect(run.code == 0, "\(run.text) \(run.errors)")
            #expect(run.lines.first?.hasPrefix("qq \(version)") == true)
            #expect(
                run.lines.dropFirst() == ["token 2", "removed, leases kept", "told", "only leases left", "token 3", "nothing left"],
                "\(run.text) \(run.errors)")
        }
    }

    @Test("lintian finds no error in it", .enabled(if: DebianPackage.hasLintian, "lintian is not here (Scripts/need test)"))
    func lint() async throws {
        let package = try await DebianPackage.shared()
        try await inSandbox(.heavy) { box in
            // The run path of a debug binary. Scripts/deb refuses it for packages that are not tests.
            let run = try await box.start(
                ["lintian", "--fail-on", "error", "--suppress-tags", "custom-library-search-path", package.path],
                environment: ["TMPDIR": box.folder]
            ).finish(within: .seconds(600))
            #expect(run.code == 0, "\(run.text) \(run.errors)")
        }
    }

    @Test("the same inputs make the same package, whatever the time and the umask") func reproducible() async throws {
        try await inSandbox { box in
            let binary = try await box.compileStandIn(printing: "qq 9.8.7 (0123456789ab)")
            for (folder, mask) in [("one", "022"), ("two", "077")] {
                let script = "umask \(mask); sleep 1; exec '\(DebianPackage.script)' '\(binary)' '\(box.path(folder))'"
                let built = try await box.start(
                    ["sh", "-c", script], environment: ["SOURCE_DATE_EPOCH": "1800000000", "TMPDIR": box.folder]
                ).finish(within: .seconds(120))
                #expect(built.code == 0, "\(built.errors)")
            }
            let names = Repository.packages(in: box.path("one"))
            #expect(names.count == 1 && names[0].hasPrefix("qq_9.8.7-1_"), "\(names)")
            for name in names {
                let difference = try await box.start(["cmp", box.path("one/" + name), box.path("two/" + name)]).finish()
                #expect(difference.code == 0, "\(difference.text)\(difference.errors)")
            }
        }
    }

    @Test("a binary with a run path is refused, because it looks for libraries where only this machine has them")
    func runPath() async throws {
        try await inSandbox { box in
            let binary = try await box.compileStandIn(printing: "qq 9.8.7", flags: "-Wl,-rpath,/nonexistent")
            let run = try await box.start([DebianPackage.script, binary, box.path("out")], environment: ["TMPDIR": box.folder]).finish()
            #expect(run.code == 69 && run.errors.contains("package the binary of make build"), "\(run.errors)")
            #expect(Repository.packages(in: box.path("out")).isEmpty)
        }
    }
}

extension Repository {
    /// The names of the packages in a folder.
    fileprivate static func packages(in folder: String) -> [String] { names(in: folder).filter { $0.hasSuffix(".deb") } }
}
