import Testing

@testable import QQEtcd

@Suite("Revisions of etcd") struct EtcdRevisionTests {
    @Test("no revision of a server is too high or too low to watch from") func after() {
        #expect(EtcdRevision.after(7) == 8)
        #expect(EtcdRevision.after(.max) == .max && EtcdRevision.after(.min) == .min + 1)
        #expect(EtcdRevision.before(8) == 7 && EtcdRevision.before(.min) == .min)
    }
}
