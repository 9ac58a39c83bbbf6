import Support
import Testing

@Suite("Commands on a real etcd") struct EtcdCommandTests {
    @Test("acquire runs a command under a token, releases, and leaves no key") func guarded() async throws {
        try await onEtcd { etcd in
            let run = try await etcd.run("acquire", "x", "--id", "me", "--", "sh", "-c", #"echo "$QQ_ID|$QQ_TOKEN|$QQ_NAME"; exit 7"#)
            #expect(run.ending == .exited(7), "\(run.errors)")
            let parts = run.text.dropLast().split(separator: "|")
            #expect(parts.count == 3 && parts[0] == "me" && (UInt64(parts[1]) ?? 0) > 0 && parts[2] == "x", "\(run.text)")
            #expect(try await etcd.keys() == [])
            #expect(run.errors == "")
        }
    }

    @Test("status, --all, watch and release tell of a lease; a second try is refused and leaves no key") func reading() async throws {
        try await onEtcd { etcd in
            #expect(try await etcd.run("status", "x").ending == .exited(1))
            #expect(try await etcd.keys() == [])
            let watcher = try etcd.qq("watch", "x", "--json")
            try await waitUntil("the first line: \(watcher.errors)") { watcher.output.contains("free") }
            #expect(try await etcd.run("acquire", "x", "--id", "me", "--ttl", "60s").ending == .exited(0))
            let status = try await etcd.run("status", "x", "--json")
            #expect(status.ending == .exited(0) && status.text.contains(#""leader":"me""#), "\(status.text) \(status.errors)")
            let refused = try await etcd.run("acquire", "x", "--id", "other")
            #expect(refused.ending == .exited(1) && refused.errors.contains("me"), "\(refused.errors)")
            #expect(try await etcd.keys().count == 1)
            #expect(try await etcd.run("status", "--all").text.contains("x\theld\tme"))
            #expect(try await etcd.run("release", "x").ending == .exited(0))
            #expect(try await etcd.keys() == [])
            try await waitUntil("the watcher saw both: \(watcher.output)") {
                watcher.output.contains("me") && watcher.output.split(separator: "\n").count >= 3
            }
            watcher.child.signal(15)
            _ = try await watcher.finish()
        }
    }

    @Test("a holder is asked to step down, ends its command and releases; etcdctl's lock has to be forced") func stepDown() async throws {
        try await onEtcd { etcd in
            let holder = try etcd.work()
            _ = try await etcd.box.waitForTerms(1)
            let run = try await etcd.run("step-down", "x", "--yes", "--force")
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(try await holder.finish().ending == .exited(79))
            let lock = try etcd.client.lock("y")
            try await waitUntil("the lock") { lock.output.contains("y/") }
            #expect(try await etcd.run("step-down", "y", "--yes").ending != .exited(0))
            let forced = try await etcd.run("step-down", "y", "--yes", "--force")
            #expect(forced.ending == .exited(0), "\(forced.errors)")
            #expect(try await etcd.run("status", "y").ending == .exited(1))
        }
    }

    @Test("cluster-status shows version, role and sizes, and that a server is away") func clusterStatus() async throws {
        try await onEtcd { etcd in
            let well = try await etcd.run("cluster-status", "--json")
            #expect(well.ending == .exited(0) && well.text.contains("leader") && well.text.contains("3.4"), "\(well.text) \(well.errors)")
            etcd.server.kill()
            let away = try await etcd.run("cluster-status", "--timeout", "1s")
            #expect(away.ending == .exited(69), "\(away.text) \(away.errors)")
        }
    }

    @Test("a login from variables is used and shown nowhere; a wrong one is denied") func login() async throws {
        try await onEtcd { etcd in
            try await etcd.client.enableAuth()
            let url = ["QQ_SERVER": etcd.server.url + "/qq"]
            let login = url.merging(["QQ_ETCD_USER": "qq", "QQ_ETCD_PASSWORD": "qqpw"]) { $1 }
            let run = try await etcd.run("acquire", "x", "-v", "--", "env", environment: login)
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(!run.text.contains("qqpw") && !run.errors.contains("qqpw"))
            let wrong = login.merging(["QQ_ETCD_PASSWORD": "wrong-one"]) { $1 }
            let denied = try await etcd.run("acquire", "x", "--retries", "0", "--", "true", environment: wrong)
            #expect(denied.ending == .exited(77) && !denied.errors.contains("wrong-one"), "\(denied.errors)")
            let none = try await etcd.run("acquire", "x", "--retries", "0", "--", "true", environment: url)
            #expect(none.ending == .exited(77), "\(none.errors)")
        }
    }
}
