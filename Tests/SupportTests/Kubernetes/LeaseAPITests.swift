import QQCore
import Support
import Testing

/// Behaviour of the test API server that the recording does not show.
@Suite("Test API server without a network") struct LeaseAPITests {
    private static let leases = "/apis/coordination.k8s.io/v1/namespaces/team/leases"
    private let api = LeaseAPI()

    private func lease(_ name: String, holder: String = "alice", labels: JSONObject = [:]) -> JSONValue {
        ["metadata": ["name": .string(name), "labels": .object(labels)], "spec": ["holderIdentity": .string(holder)]]
    }

    private func types(_ watch: LeaseAPI.Watch) -> [String] { watch.take().compactMap { $0["type"]?.stringValue } }

    @Test("a watch from the version at which the server began works, one from before is too old")
    func oldestVersion() throws {
        let start = api.store.version
        #expect(try #require(api.watch(query: [("resourceVersion", "\(start)")])).end == nil)
        let old = try #require(api.watch(query: [("resourceVersion", "\(start - 1)")]))
        #expect(types(old) == ["ERROR"])
        #expect(old.end == .orderly)
    }

    @Test("a watch from a version whose changes are forgotten is too old")
    func forgottenHistory() throws {
        let api = LeaseAPI(store: LeaseStore(history: 4))
        let start = api.store.version
        for number in 0..<5 { try api.store.put(lease("a", holder: "\(number)")) }
        #expect(types(try #require(api.watch(query: [("resourceVersion", "\(start + 1)")]))) == ["ERROR"])
        #expect(types(try #require(api.watch(query: [("resourceVersion", "\(start + 2)")]))).count == 3)
        #expect(api.answer("GET", Self.leases, query: [("resourceVersion", "\(start)"), ("resourceVersionMatch", "Exact")])?.status == 410)
    }

    @Test("a lease that gets or loses the selected label is added or deleted for the watch")
    func selection() throws {
        try api.store.put(lease("a"))
        let watch = try #require(api.watch(query: [("labelSelector", "app=web")]))
        #expect(types(watch) == [])
        api.store.edit("a", labels: ["app": "web"])
        #expect(types(watch) == ["ADDED"])
        api.store.edit("a", annotations: ["note": "1"])
        #expect(types(watch) == ["MODIFIED"])
        api.store.edit("a", labels: ["app": nil])
        let last = try #require(watch.take().first)
        #expect(last["type"] == "DELETED")
        #expect(last["object"]?["metadata"]?["labels"] == ["app": "web"])
        #expect(last["object"]?["metadata"]?["resourceVersion"] == .string("\(api.store.version)"))
        watch.cancel()
        #expect(api.watches.isEmpty)
    }

    @Test("a role for one name allows PUT to create that lease, and lists and watches of that name only")
    func resourceNames() throws {
        let user = LeaseAPI.User("one")
        api.change { $0.grants = [.init("one", LeaseAPI.Grant.watching, names: ["a"])] }
        #expect(api.answer("POST", Self.leases, body: lease("a"), as: user)?.status == 403)
        #expect(api.answer("PUT", Self.leases + "/a", body: lease("a"), as: user)?.status == 201)
        #expect(api.answer("PUT", Self.leases + "/b", body: lease("b"), as: user)?.status == 403)
        #expect(api.answer("GET", Self.leases, as: user)?.status == 403)
        #expect(api.answer("GET", Self.leases, query: [("fieldSelector", "metadata.name=a")], as: user)?.status == 200)
        #expect(api.watch(query: [("fieldSelector", "metadata.name=a")], as: user) != nil)
        #expect(api.watch(as: user) == nil)
        api.change { $0.grants = [.init("one", [.get, .update], names: ["a"])] }
        api.store.remove("a")
        #expect(api.answer("PUT", Self.leases + "/a", body: lease("a"), as: user)?.status == 403)
    }

    @Test("a fault applies only to the calls that its rule names")
    func faultRules() throws {
        try api.store.put(lease("a"))
        api.fail([.get], name: "b", times: nil, with: .unauthorized)
        api.fail([.get], skip: 1, times: 2, with: .tooManyRequests())
        let statuses = (0..<5).map { _ in api.answer("GET", Self.leases + "/a")?.status }
        #expect(statuses == [200, 429, 429, 200, 200])
        #expect(api.answer("GET", Self.leases + "/b")?.status == 401)
        api.clearFaults()
        #expect(api.answer("GET", Self.leases + "/b")?.status == 404)
        #expect(api.count(.get) == 7)
        #expect(api.calls.allSatisfy { $0.verb == .get })
    }

    @Test("a silent watch reports the missed events when its silence ends")
    func silence() throws {
        try api.store.put(lease("a"))
        let watch = try #require(api.watch())
        #expect(types(watch) == ["ADDED"])
        api.silenceWatches()
        try api.store.put(lease("a", holder: "bob"))
        let new = try #require(api.watch())
        #expect(types(watch) == [] && types(new) == [])
        #expect(api.answer("GET", Self.leases + "/a")?.json?["spec"]?["holderIdentity"] == "bob")
        api.silenceWatches(false)
        #expect(types(watch) == ["MODIFIED"])
    }

    @Test("a namespace that is swept loses its leases and no longer exists")
    func sweptNamespace() throws {
        try api.store.put(lease("a"))
        let watch = try #require(api.watch(query: [("resourceVersion", "\(api.store.version)")]))
        api.store.terminate(namespace: "team")
        #expect(api.answer("POST", Self.leases, body: lease("b"))?.status == 403)
        api.store.sweep(namespace: "team")
        #expect(types(watch) == ["DELETED"])
        #expect(api.answer("POST", Self.leases, body: lease("b"))?.json?["details"]?["kind"] == "namespaces")
    }
}
