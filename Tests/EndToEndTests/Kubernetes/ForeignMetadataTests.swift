import Glibc
import QQCore
import Support
import Testing

@Suite("What others have written to a lease")
struct ForeignMetadataTests {
    @Test("acquiring, renewing and releasing keep labels, annotations, owners, finalizers and fields that qq does not know")
    func kept() async throws {
        try await onCluster { place in
            let metadata: JSONObject = [
                "name": "x", "labels": ["a/b": "", "app": "web"], "annotations": ["note": "line 1\nline 2", "example.com/x": "{\"a\": 1}"],
                "ownerReferences": [
                    [
                        "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "0a1b", "controller": true,
                        "blockOwnerDeletion": true,
                    ]
                ],
                "finalizers": ["example.com/keep"],
            ]
            // While CoordinatedLeaderElection is off, stored values of its fields are kept by a PUT that sends them back.
            let spec: JSONObject = [
                "holderIdentity": "", "leaseDurationSeconds": 1, "leaseTransitions": 41, "strategy": "OldestEmulationVersion",
            ]
            try place.server.store.put([
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": .object(metadata), "spec": .object(spec),
            ])
            let uid = place.lease()?["metadata"]?["uid"]
            let holder = try await place.hold("x", "--id", "alice", "--ttl", "12s", "--renew-every", "1s")
            func check(_ when: String) {
                let lease = place.lease()
                for name in ["labels", "ownerReferences", "finalizers"] {
                    #expect(lease?["metadata"]?[name] == metadata[name], "\(name) \(when)")
                }
                for (name, value) in [("note", "line 1\nline 2"), ("example.com/x", "{\"a\": 1}")] {
                    #expect(lease?["metadata"]?["annotations"]?[name] == .string(value), "\(when)")
                }
                #expect(lease?["metadata"]?["uid"] == uid, "\(when)")
                #expect(lease?["spec"]?["strategy"] == "OldestEmulationVersion", "\(when)")
                #expect(lease?["spec"]?["leaseTransitions"] == 42, "\(when)")
            }
            check("after acquiring")
            try await place.waitForRenewals(2)
            check("after two renewals")
            try await holder.terminate()
            check("after the release")
            #expect(place.holder() == "")
        }
    }

    @Test("a lease that was deleted is lost even if a finalizer keeps it, and is not written to") func deleting() async throws {
        try await onCluster { place in
            try place.server.store.put([
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": ["name": "x", "finalizers": ["example.com/keep"]],
                "spec": [:],
            ])
            let holder = try await place.hold("x", "--id", "alice", "--ttl", "12s", "--renew-every", "1s")
            _ = place.server.api.answer("DELETE", "/apis/coordination.k8s.io/v1/namespaces/team/leases/x")
            let version = place.lease()?["metadata"]?["resourceVersion"]
            #expect(try await holder.finish().ending == .exited(79), "\(holder.errors)")
            #expect(place.lease()?["metadata"]?["resourceVersion"] == version)
        }
    }

    @Test("every write sends uid and resourceVersion, a duration, and times with six digits") func writes() async throws {
        try await onCluster { place in
            let holder = try await place.hold("x", "--id", "alice", "--ttl", "12s", "--renew-every", "1s")
            try await place.waitForRenewals(2)
            try await holder.terminate()
            let writes = place.server.api.calls.filter { $0.verb == .update || $0.verb == .create }
            #expect(writes.count >= 4)
            for write in writes {
                let body = try #require(write.json)
                #expect((body["spec"]?["leaseDurationSeconds"]?.int64Value ?? 0) > 0)
                if write.verb == .update {
                    #expect(body["metadata"]?["uid"]?.stringValue?.isEmpty == false && body["metadata"]?["resourceVersion"] != nil)
                }
                for name in ["acquireTime", "renewTime"] {
                    let text = body["spec"]?[name]?.stringValue ?? ""
                    #expect(text.count == "2026-11-29T16:03:43.902643Z".count && text.hasSuffix("Z"), "\(name) \(text)")
                }
            }
        }
    }
}
