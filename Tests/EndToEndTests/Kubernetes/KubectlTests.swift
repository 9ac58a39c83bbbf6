import Glibc
import QQCore
import Support
import Testing

@Suite("qq and kubectl at the same lease", .enabled(if: Kubectl.path != nil))
struct KubectlTests {
    @Test("kubectl shows the holder, and its table changes when qq releases") func get() async throws {
        try await onCluster { place in
            let holder = try await place.hold("x", "--id", "alice")
            let table = try await place.kubectl("get", "lease")
            #expect(table.lines.first?.split(separator: " ") == ["NAME", "HOLDER", "AGE"])
            #expect(table.lines.last?.split(separator: " ").prefix(2) == ["x", "alice"], "\(table.text) \(table.errors)")
            let status = try await place.run("status", "x", "--json")
            #expect(try status.json()["leader"] == "alice" || status.text.contains("\"alice\""), "\(status.text)")
            // With a name, kubectl would not show what changes between its read and its watch.
            let watching = try place.startKubectl("get", "lease", "--watch")
            try await waitUntil("the first row") { watching.output.contains("alice") }
            try await holder.terminate()
            try await waitUntil("a row without holder: \(watching.output)") {
                watching.output.split(separator: "\n").last.map { $0.split(separator: " ").count == 2 } ?? false
            }
            watching.child.signal(SIGTERM)
            _ = try await watching.finish()
        }
    }

    @Test("labels and annotations by kubectl disturb no holder and no waiter, and renewals keep them") func metadata() async throws {
        try await onCluster { place in
            let holder = try await place.hold("x", "--id", "alice", "--ttl", "12s", "--renew-every", "1s", "-v")
            let waiter = try place.qq(["acquire", "x", "--wait", "-v", "--", "true"])
            try await place.box.waitForWaiter(waiter)
            for words in [
                ["annotate", "lease", "x", "team=blue"], ["label", "lease", "x", "tier=gold"],
                ["annotate", "lease", "x", "team=red", "--overwrite"],
            ] {
                let run = try await place.kubectl(words)
                #expect(run.ending == .exited(0), "\(run.errors)")
                try await place.waitForRenewals(1)
            }
            #expect(holder.child.isRunning && waiter.child.isRunning)
            let metadata = place.lease()?["metadata"]
            #expect(metadata?["annotations"]?["team"] == "red" && metadata?["labels"]?["tier"] == "gold")
            #expect(!holder.errors.contains("lost"), "\(holder.errors)")
            try await holder.terminate()
            #expect(try await waiter.finish().ending == .exited(0))
            #expect(place.lease()?["metadata"]?["labels"]?["tier"] == "gold", "a take-over keeps them")
        }
    }

    @Test(
        "a holder cleared, overwritten or deleted by kubectl is a loss, and the command is dead",
        arguments: [
            ["patch", "lease", "x", "--type=merge", "-p", #"{"spec":{"holderIdentity":""}}"#],
            ["patch", "lease", "x", "--type=merge", "-p", #"{"spec":{"holderIdentity":null}}"#],
            ["patch", "lease", "x", "--type=merge", "-p", #"{"spec":{"holderIdentity":"bob"}}"#],
            ["patch", "lease", "x", "--type=json", "-p", #"[{"op":"remove","path":"/spec"}]"#],
            ["delete", "lease", "x", "--wait=false"],
        ])
    func loss(words: [String]) async throws {
        try await onCluster { place in
            let holder = try place.qq(place.stamping(id: "alice", work: ["--child", "--daemon", "--ignore-term"]))
            _ = try await place.box.waitForTerms(1)
            let run = try await place.kubectl(words)
            #expect(run.ending == .exited(0), "\(run.errors)")
            let end = try await holder.finish()
            #expect(end.ending == .exited(79) && end.errors.contains("lost x while the command ran"), "\(end.errors)")
            #expect(place.box.living.allSatisfy { $0.name != "stamp" })
            #expect(place.holder() != "alice", "it did not write over what it found")
        }
    }

    @Test("a lease that kubectl made, with a name and nothing else, is taken at once") func made() async throws {
        try await onCluster { place in
            try place.box.write(
                "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata:\n  name: x\n  labels: {made: by-hand}\n", to: "lease.yaml")
            let made = try await place.kubectl("create", "--validate=false", "-f", place.box.path("lease.yaml"))
            #expect(made.ending == .exited(0), "\(made.errors)")
            let run = try await place.run("acquire", "x", "--", "true")
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(place.lease()?["metadata"]?["labels"]?["made"] == "by-hand")
        }
    }

    @Test("qq watch reports the holders that kubectl writes") func watched() async throws {
        try await onCluster { place in
            place.write(holder: "one", duration: 60)
            let watch = try place.qq(["watch", "x", "--json"])
            try await waitUntil("the first holder: \(watch.output) \(watch.errors)") { watch.output.contains("\"one\"") }
            let patched = try await place.kubectl("patch", "lease", "x", "--type=merge", "-p", #"{"spec":{"holderIdentity":"two"}}"#)
            #expect(patched.ending == .exited(0) && place.holder() == "two", "\(patched.text) \(patched.errors)")
            try await waitUntil("the second holder: \(watch.output)", within: .seconds(90)) { watch.output.contains("\"two\"") }
            let count = watch.output.split(separator: "\n").count
            _ = try await place.kubectl("delete", "lease", "x")
            try await waitUntil("the end: \(watch.output)", within: .seconds(90)) { watch.output.split(separator: "\n").count > count }
            // Nobody released it: its holder might still work.
            #expect(try watch.told().last?["state"] == "expired")
            try await watch.terminate()
        }
    }
}
