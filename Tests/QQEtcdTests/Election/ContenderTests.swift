import QQCore
import Testing

@testable import QQEtcd

@Suite("Contenders on etcd") struct ContenderTests {
    private let naming = ContenderNaming(prefix: "/qq/")

    private func key(_ text: String, _ value: String = "", created: Int64 = 1, written: Int64? = nil, lease: Int64 = 0) -> EtcdKeyValue {
        EtcdKeyValue(
            key: Array(text.utf8), value: Array(value.utf8), createRevision: created, modRevision: written ?? created, lease: lease)
    }

    @Test(arguments: [1, 0x694d_71dd_f2a4_b01c, Int64.max, -1, .min])
    func `a lease id is read as it was written`(id: Int64) { #expect(LeaseID.parse(LeaseID.text(id)) == id) }

    @Test(arguments: ["", "0", "00", "01", "+1", "A", "-0", "g", "1/2", "-", " 1", "10000000000000000"])
    func `a text that etcdctl does not write is no lease id`(text: String) { #expect(LeaseID.parse(text) == nil) }

    @Test func `a key has the prefix, the name and the lease`() {
        #expect(naming.key("web", lease: 255) == Array("qq/web/ff".utf8))
        #expect(ContenderNaming(prefix: "").key("web", lease: 255) == Array("web/ff".utf8))
    }

    @Test func `a request to step down is no contender, and within a role for the prefix`() {
        let request = naming.request("web")
        #expect(!naming.below("web").contains(request))
        #expect(EtcdKeys.below(Array("qq/".utf8)).contains(request) && EtcdKeys.below(Array("qq/web".utf8)).contains(request))
        #expect(naming.name(of: EtcdKeyValue(key: request, createRevision: 1, modRevision: 1, lease: 7)) == nil)
    }

    @Test func `foreign keys below the name are no contenders`() {
        let keys = [key("qq/web/config"), key("qq/web/sub/1f"), key("qq/web/"), key("qq/web/1F"), key("qq/web/1f", "ann", created: 9)]
        #expect(Contenders(keys, of: "web", naming).all.map(\.lease) == [0x1f])
    }

    @Test func `the lowest create revision leads, whatever the order of the keys`() {
        let keys = [key("qq/web/1", "bob", created: 7), key("qq/web/2", "ann", created: 5, written: 9), key("qq/web/3", "", created: 8)]
        let found = Contenders(keys, of: "web", naming)
        #expect(found.leader?.identity == "ann" && found.leader?.modRevision == 9)
        #expect(found.all.map(\.shown) == ["ann", "bob", "lease 3"])
        #expect(found.place(of: 4) == .absent)
        guard case .waits(let ahead, _) = found.place(of: 3) else { return #expect(Bool(false), "the last one waits") }
        #expect(ahead.lease == 1)
    }

    @Test func `an election in a list is a key whose last part is its own lease`() {
        #expect(naming.name(of: key("qq/a/b/1f", lease: 0x1f)) == "a/b")
        #expect(naming.name(of: key("qq/a/1f", lease: 0x2f)) == nil)
        #expect(naming.name(of: key("qq/a/1f")) == nil)
        #expect(naming.name(of: key("other/a/1f", lease: 0x1f)) == nil)
        #expect(naming.name(of: key("qq/1f", lease: 0x1f)) == nil)
    }

    @Test func `TTLs are whole seconds, rounded up, and the longest ones fit into local times`() {
        #expect(LeaseTime.seconds(.milliseconds(1)) == 1 && LeaseTime.seconds(.milliseconds(2_001)) == 3)
        #expect(LeaseTime.seconds(.seconds(9)) == 9 && LeaseTime.seconds(.seconds(Int64.max)) == LeaseTime.longestGranted)
        #expect(LeaseTime.granted(10) == .seconds(10) && LeaseTime.granted(-1) == .zero)
        #expect((LeaseTime.granted(9_000_000_000) * 3).nanoseconds > 0)
    }

    @Test func `a request to step down is read as it was written`() {
        let request = StepDownRequest(lease: 255, by: "bob")
        #expect(StepDownRequest(request.bytes) == request)
        #expect(StepDownRequest(Array("stop".utf8)) == nil && StepDownRequest([]) == nil)
    }

    @Test(arguments: ["", "/a", "a/", "a//b", "a\nb"])
    func `a name with empty parts or control characters is refused`(name: String) {
        #expect(ContenderNaming.problem(withPath: name) != nil)
    }
}
