import Glibc
import QQCore
import Support
import Testing

@Suite("The container image", .enabled(if: containersArePossible, "this user can make no user namespace here"))
struct ImageTests {
    @Test("it has qq, the libraries that qq links, and CA certificates, and nothing else") func contents() async throws {
        let image = try await BuiltImage.shared()
        try await inSandbox { box in
            let linked = try await box.start(["ldd", Sandbox.binary]).finish()
            let libraries = Set(linked.text.matches(of: /\/[^ ]+/).map { "." + $0.output })
            #expect(libraries.count > 3)
            #expect(Set(image.files) == libraries.union(["./usr/bin/qq", "./etc/ssl/certs/ca-certificates.crt"]))
        }
    }

    @Test("it runs /usr/bin/qq as a user who is not root, and says what it is") func configuration() async throws {
        let image = try await BuiltImage.shared()
        func blob(_ value: JSONValue?) throws -> JSONObject {
            let digest = try #require(value?.objectValue?["digest"]?.stringValue)
            return try object(readText(image.box.path("layout/blobs/" + digest.replacing(":", with: "/"))))
        }
        let index = try object(readText(image.box.path("layout/index.json")))
        let manifests = try #require(index["manifests"]?.arrayValue)
        #expect(manifests.count == 1)
        let configuration = try blob(try blob(manifests.first)["config"])
        #expect(configuration["os"]?.stringValue == "linux")
        let settings = try #require(configuration["config"]?.objectValue)
        #expect(settings["User"]?.stringValue == "65532:65532")
        #expect(settings["Entrypoint"]?.arrayValue?.map(\.stringValue) == ["/usr/bin/qq"])
        let labels = try #require(settings["Labels"]?.objectValue)
        #expect(labels["org.opencontainers.image.title"]?.stringValue == "qq")
        #expect(labels["org.opencontainers.image.licenses"]?.stringValue == "GPL-3.0-or-later")
        #expect(labels["org.opencontainers.image.version"]?.stringValue == version)
        #expect(image.report.contains("KiB") && image.report.contains("sha256:"), "\(image.report)")
    }

    @Test("the same inputs make the same archive") func reproducible() async throws {
        try await inSandbox { box in
            // A small program in the place of qq, which answers "version" to that word.
            for (archive, mask) in [("one.tar", "022"), ("two.tar", "077")] {
                let script = "umask \(mask); sleep 1; exec '\(BuiltImage.script)' /bin/echo '\(box.path(archive))'"
                let built = try await box.start(
                    ["sh", "-c", script], environment: ["CA_CERTIFICATES": "/etc/passwd", "TMPDIR": box.folder]
                ).finish()
                #expect(built.ending == .exited(0), "\(built.errors)")
            }
            let difference = try await box.start(["cmp", box.path("one.tar"), box.path("two.tar")]).finish()
            #expect(difference.ending == .exited(0), "\(difference.text)\(difference.errors)")
        }
    }

    @Test("without umoci or certificates, Scripts/image names what is missing") func missing() async throws {
        try await inSandbox { box in
            mkdir(box.path("Scripts"), 0o755)
            try box.write(readBytes(BuiltImage.script) ?? [], to: "Scripts/image", mode: 0o755)
            let script = box.path("Scripts/image")
            if access("/usr/bin/umoci", X_OK) != 0 {
                let run = try await box.start([script, Sandbox.binary, box.path("qq.tar")]).finish()
                #expect(run.ending == .exited(69))
                #expect(run.errors.contains("umoci is missing: run Scripts/need image"), "\(run.errors)")
            }
            let run = try await box.start(
                [BuiltImage.script, Sandbox.binary, box.path("qq.tar")], environment: ["CA_CERTIFICATES": "/nonexistent"]
            ).finish()
            #expect(run.ending == .exited(69))
            #expect(run.errors.contains("/nonexistent is missing"), "\(run.errors)")
            #expect(access(box.path("qq.tar"), F_OK) != 0)
        }
    }

    @Test("names of /etc/hosts are resolved, and a server's certificate is checked with the image's CA certificates")
    func network() async throws {
        let image = try await BuiltImage.shared()
        try await inSandbox { box in
            var settings = NATSSettings()
            settings.tls = NATSSettings.TLS(image.certificates)
            let server = try await NATSServer.start(.latest, settings, in: box)
            let url = "tls://localhost:\(server.port)"
            let run = try await image.run("-s", url, "acquire", "x", "--", "/usr/bin/qq", "version", in: box)
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(run.text.hasPrefix("qq \(version)"))
            // Outside of the image the authority is unknown.
            #expect(try await box.run("-s", url, "status", "x").ending == .exited(78))
        }
    }
}
