import QQEtcd
import Testing

@Suite("Ranges of keys in etcd") struct EtcdKeysTests {
    private func key(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test("a prefix ends before its last byte plus one") func prefix() {
        let keys = EtcdKeys.below(key("jobs/"))
        #expect(keys == EtcdKeys(key: key("jobs/"), end: key("jobs0")))
        #expect(keys.contains(key("jobs/")) && keys.contains(key("jobs/7f")))
        #expect(!keys.contains(key("jobs")) && !keys.contains(key("jobs0")) && !keys.contains(key("a")))
    }

    @Test("trailing bytes that cannot grow are left out of the end") func highBytes() {
        #expect(EtcdKeys.below([0x61, 0xff]) == EtcdKeys(key: [0x61, 0xff], end: [0x62]))
        let highest = EtcdKeys.below([0xff, 0xff])
        #expect(highest == EtcdKeys(key: [0xff, 0xff], end: [0]))
        #expect(highest.contains([0xff, 0xff, 1]) && !highest.contains([0xff, 0xfe]))
    }

    @Test("the empty prefix stands for all keys") func all() {
        #expect(EtcdKeys.all == EtcdKeys(key: [0], end: [0]))
        #expect(EtcdKeys.all.contains(key("a")) && EtcdKeys.all.contains([0]))
    }

    @Test("a single key contains only itself") func single() {
        #expect(EtcdKeys.one(key("a")).contains(key("a")))
        #expect(!EtcdKeys.one(key("a")).contains(key("a0")))
    }
}
