import Glibc
import QQCore
import Support
import Testing

@Suite("Cluster file (--cluster-config)")
struct ClusterConfigTests {
    private func write(_ server: NATSServer, _ rest: String = "", in box: Sandbox) throws {
        try box.write(
            """
            {
              "clusterId": "web", "nodeId": "web-3",
              "nats": { "servers": ["127.0.0.1:\(server.port)"], "reconnectWaitMs": 200, "maxReconnects": 5 },
              "election": { "leaseTtlMs": 4000, "heartbeatIntervalMs": 500 },
              "service": { "version": "1.2.0" }, "logLevel": "debug"\(rest)
            }
            """, to: "cluster.json")
    }

    /// Overrides the sandbox's folder, which would otherwise override the file.
    private let nowhere = ["QQ_SERVER": ""]

    @Test("a cluster file names server, election, identity, TTL and renewal interval")
    func everything() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            try write(server, in: box)
            let file = box.path("cluster.json")
            let none = try await box.run("status", "--cluster-config", file, "-v", environment: nowhere)
            #expect(none.ending == .exited(1) && none.text == "web\tfree\t-\t-\t-\t-\t-\n")
            #expect(none.errors.contains("not used: logLevel"))
            let acquired = try object(try await box.run("acquire", "--cluster-config", file, "--json", environment: nowhere).text)
            #expect(acquired["name"]?.stringValue == "web" && acquired["id"]?.stringValue == "web-3")
            #expect(acquired["ttl"]?.doubleValue == 4 && acquired["epoch"]?.uint64Value == 1)
            #expect(acquired["server"]?.stringValue == server.url)
            let state = try object(try await box.run("status", "--cluster-config", file, "--json", environment: nowhere).text)
            #expect(state["mine"]?.boolValue == true && state["epoch"]?.uint64Value == 1 && state["revision"]?.uint64Value == 1)
            // The bucket has this TTL from now on.
            let other = try await box.run("acquire", "--cluster-config", file, "--ttl", "5s", environment: nowhere)
            #expect(other.ending == .exited(78) || other.ending == .exited(1), "\(other.errors)")
            #expect(try await box.run("release", "--cluster-config", file, environment: nowhere).ending == .exited(0))
        }
    }

    @Test("a cluster file makes keepalive a visible member that renews as often as the file says")
    func node() async throws {
        try await inSandbox { box in
            let server = try await NATSServer.start(in: box)
            try write(server, in: box)
            let file = box.path("cluster.json")
            let run = try box.qq("keepalive", "--cluster-config", file, "--json", environment: nowhere)
            try await waitUntil("the lease is renewed: \(run.output) \(run.errors)", within: .seconds(90)) {
                run.output.contains("\"renewed\"")
            }
            let report = try object(try await box.run("cluster-status", "--cluster-config", file, "--json", environment: nowhere).text)
            let member = try #require(report["members"]?.arrayValue?.first?.objectValue)
            #expect(member["id"]?.stringValue == "web-3" && member["election"]?.stringValue == "web")
            #expect(member["role"]?.stringValue == "leader" && member["version"]?.stringValue == "1.2.0")
            let plain = try await box.run("cluster-status", "-s", server.url)
            #expect(plain.lines.contains { $0.hasPrefix("member\tweb\tweb-3\tleader\tweb-3\t1\t") }, "\(plain.text)")
            // Another user asks the node, which is then not allowed to lead again immediately.
            let stranger = ["XDG_RUNTIME_DIR": box.path("home")]
            let alone = try await box.run("step-down", "web", "-s", server.url, environment: stranger)
            #expect(alone.ending == .exited(77) && alone.errors.contains("add --node web-3 to ask it, or --force"), "\(alone.errors)")
            let unconfirmed = try await box.run("step-down", "web", "-s", server.url, "--node", "web-3", environment: stranger)
            #expect(unconfirmed.ending == .exited(77) && unconfirmed.errors.contains("add --yes"), "\(unconfirmed.errors)")
            let asked = try await box.run("step-down", "web", "-s", server.url, "--node", "web-3", "--yes", environment: stranger)
            #expect(asked.ending == .exited(0), "\(asked.errors)")
            let refused = try await box.run("acquire", "--cluster-config", file, environment: nowhere)
            #expect(refused.ending == .exited(1))
            #expect(refused.errors.contains("web is free, but web-3 stepped down and must not lead for "), "\(refused.errors)")
            try await run.terminate()
        }
    }

    @Test("flags and the environment override a cluster file")
    func precedence() async throws {
        try await inSandbox { box in
            let (here, there) = (try await NATSServer.start(in: box), try await NATSServer.start(in: box))
            try write(here, in: box)
            let file = box.path("cluster.json")
            let flags = try await box.run(
                "acquire", "other", "--cluster-config", file, "-s", there.url, "--id", "me", "--ttl", "7s", "--json", environment: nowhere)
            let grant = try object(flags.text)
            #expect(grant["name"]?.stringValue == "other" && grant["id"]?.stringValue == "me" && grant["ttl"]?.doubleValue == 7)
            #expect(grant["server"]?.stringValue == there.url)
            let variable = try await box.run("status", "other", "--cluster-config", file, environment: ["QQ_SERVER": there.url])
            #expect(variable.ending == .exited(0))
        }
    }

    @Test("an unusable cluster file exits with 78, naming file and reason; one with another system's URL with 64")
    func problems() async throws {
        try await inSandbox { box in
            let file = box.path("cluster.json")
            let missing = try await box.run("status", "--cluster-config", file, environment: nowhere)
            #expect(missing.ending == .exited(78))
            #expect(missing.errors == "qq: cannot read the cluster file: No such file or directory (\(file))\n")
            try box.write(#"{"clusterId": "web", "election": {"leaseTtlMs": "10s"}}"#, to: "cluster.json")
            let wrong = try await box.run("status", "--cluster-config", file, environment: nowhere)
            #expect(wrong.ending == .exited(78))
            #expect(
                wrong.errors == "qq: cannot use the cluster file: election.leaseTtlMs is a string, expected a whole number (\(file))\n")
            try box.write(#"{"clusterId": "web"}"#, to: "cluster.json")
            let nowhereToGo = try await box.run("status", "--cluster-config", file, environment: nowhere)
            #expect(nowhereToGo.ending == .exited(78) && nowhereToGo.errors.contains("nats.servers is missing"))
            for words in [["-s", box.server], []] {
                let mixed = try await box.start([Sandbox.binary] + words + ["status", "--cluster-config", file]).finish()
                #expect(mixed.ending == .exited(64) && mixed.errors.contains("it is for NATS"), "\(mixed.errors)")
            }
            let flag = try await box.run("status", "x", "--creds", "/nothing")
            #expect(flag.ending == .exited(64) && flag.errors.contains("cannot use --creds"))
        }
    }
}
