import Foundation
import QQCore
import QQEtcd
import Support

/// What happened between the recorded rows, without being recorded itself.
extension EtcdReplay {
    mutating func takeHiddenSteps(before row: EtcdRecording.Row) throws {
        switch EtcdVersion(rawValue: row.version) {
        case .v36: try takeSteps36(row.line)
        case .v35: try takeSteps35(row.line)
        case .v34: try takeSteps34(row.line)
        case nil: break
        }
    }

    // MARK: Parts

    /// Lets time pass.
    private mutating func pass(_ time: Duration) { store.advance(to: store.now + time.nanoseconds) }

    /// Begins a cluster of three: `node2` leads unless another one does.
    private mutating func begin(_ version: EtcdVersion = .v36, leader: Int = 1) {
        store = EtcdStore(version, leader: leader, now: store.now)
        let others = (0..<3).filter { $0 != leader }
        places = ["leader": leader, "follower1": others[0], "follower2": others[1]]
    }

    /// Begins a single server.
    private mutating func beginAlone(_ version: EtcdVersion = .v36, name: String) {
        store = EtcdStore(version, members: 1, now: store.now)
        (store.members[0].id, store.members[0].name) = (169, name)
        (store.members[0].peerUrls, store.members[0].clientUrls) = (["http://\(name):2380"], ["http://\(name):2379"])
        places = ["node": 0]
    }

    private mutating func put(_ key: String, _ value: String, lease: Int64 = 0) throws {
        var request = Etcdserverpb_PutRequest()
        (request.key, request.value, request.lease) = (Data(key.utf8), Data(value.utf8), lease)
        _ = try store.put(request, root)
    }

    private mutating func delete(_ key: String) throws {
        var request = Etcdserverpb_DeleteRangeRequest()
        request.key = Data(key.utf8)
        _ = try store.deleteRange(request, root)
    }

    private mutating func grant(_ id: Int64, _ ttl: Int64) throws {
        var request = Etcdserverpb_LeaseGrantRequest()
        (request.id, request.ttl) = (id, ttl)
        _ = try store.grant(request, root)
    }

    private mutating func revoke(_ id: Int64) throws {
        var request = Etcdserverpb_LeaseRevokeRequest()
        request.id = id
        _ = try store.revoke(request, root)
    }

    /// The recorder itself, at the leader.
    private var root: EtcdStore.Caller { EtcdStore.Caller(member: store.leader ?? 0, token: tokens["root"]) }

    private mutating func login(_ user: String) throws {
        var request = Etcdserverpb_AuthenticateRequest()
        (request.name, request.password) = (user, user + "pw")
        tokens[user] = try store.authenticate(request).token
    }

    private mutating func resize(_ total: Int64, _ used: Int64, quota: Int64 = 2_147_483_648, index: UInt64) {
        store.databaseSize = (total, used, quota)
        store.skip(toIndex: index)
    }

    /// Users and roles as the recorder made them, before it enabled authentication.
    private mutating func addUsers() {
        store.auth.tokenLife = .seconds(3)
        store.auth.addRole("qq", .readWrite, "qq/", to: "qq0")
        store.auth.addRole("ro", .read, "qq/", to: "qq0")
        for (user, role) in [("root", "root"), ("qq", "qq"), ("ro", "ro")] {
            store.auth.addUser(user, password: user + "pw", roles: [role])
        }
        store.auth.skip(to: 11)
    }

    private mutating func loginAll() throws { for user in ["root", "qq", "ro"] { try login(user) } }

    private static let firstLease: Int64 = 0x7e57_0000_0000_0000

    // MARK: 3.6

    private mutating func takeSteps36(_ line: Int) throws {
        switch line {
        case 1, 29: begin()
        case ..<102: try watchSteps(line)
        case ..<340: try electionSteps(line)
        case ..<388: try failoverSteps(line)
        case ..<454: try quorumSteps(line)
        default: try singleSteps(line)
        }
    }

    private mutating func watchSteps(_ line: Int) throws {
        switch line {
        case 57:
            store.skip(toRevision: 11)
            try grant(12_289, 2)
        case 63: pass(.milliseconds(2500))
        case 71: for value in ["0", "1", "2"] { try put("w/b", value) }
        case 83: try delete("w/b")
        case 86:
            try put("w/c", "0")
            try delete("w/c")
        default: break
        }
    }

    private mutating func electionSteps(_ line: Int) throws {
        switch line {
        case 104:
            for lease in [16_385, 16_386] as [Int64] { try grant(lease, 600) }
            try put("svc/4001", "", lease: 16_385)
            try put("svc/4002", "", lease: 16_386)
        case 108:
            try delete("svc/4001")
            try put("svc/4001", "", lease: 16_385)
            try delete("svc/4001")
        case 130:
            try delete("svc/4002")
            for lease in [16_385, 16_386] as [Int64] { try revoke(lease) }
            // The leases of earlier scenarios have ended.
            pass(.seconds(61))
            store.skip(toRevision: 35)
            store.skip(toLease: Self.firstLease + 3)
        case 310: try delete("y/7e5700000000000c")
        case 314: try revoke(Self.firstLease + 12)
        case 334: try delete("z/7e5700000000000d")
        case 336: try revoke(Self.firstLease + 13)
        default: break
        }
    }

    private mutating func failoverSteps(_ line: Int) throws {
        switch line {
        case 340: resize(24_576, 20_480, index: 114)
        case 357: store.skip(toRevision: 93)
        case 365: pass(.seconds(5))
        // The keep-alive that was sent without a leader is answered by the next one.
        case 367:
            store.isolate([1])
            pass(.milliseconds(1340))
        case 376:
            pass(.milliseconds(5650))
            try put("fail", "x")
        case 381:
            store.join([1])
            places = ["leader": 0, "follower1": 1, "follower2": 2]
            try revoke(24_577)
            store.skip(toRevision: 97)
            try grant(24_833, 10)
            try grant(24_834, 600)
            pass(.milliseconds(7050))
        default: break
        }
    }

    private mutating func quorumSteps(_ line: Int) throws {
        switch line {
        case 389:
            store.lead(2)
            store.skip(toTerm: 10)
            places = ["leader": 2, "follower1": 0, "follower2": 1]
            store.skip(toRevision: 1178)
            try grant(25_089, 30)
            try put("q/a", "before", lease: 25_089)
            resize(90_112, 90_112, index: 1278)
        case 397: store.isolate([0, 1])
        case 399: pass(.milliseconds(1400))
        case 402: pass(.milliseconds(2200))
        // The write right after the loss took effect later; others did not.
        case 404: store.faults.keepsProposals = true
        case 405: store.faults.keepsProposals = false
        case 422:
            store.candidate = 1
            store.join([0, 1])
            pass(.milliseconds(1210))
        case 424: pass(.milliseconds(1500))
        case 426:
            places = ["leader": 1, "follower1": 0, "follower2": 2]
            try grant(25_345, 5)
        case 436:
            store.skip(toIndex: 1282)
            store.isolate([1])
        case 439: pass(.milliseconds(1400))
        case 442: pass(.milliseconds(2500))
        case 445:
            try outliveCut()
            try grant(25_346, 60)
        case 449: store.join([1])
        default: break
        }
    }

    /// On the other side of the cut, the lease of 5 s ended 7.3 to 8.3 s after it; 4 s of those are over.
    private mutating func outliveCut() throws {
        let revision = store.revision
        pass(.milliseconds(3200))
        if store.revision != revision { throw CannotStart("the lease ended before a new leader's whole TTL and election time-out") }
        pass(.milliseconds(1100))
        if store.revision == revision { throw CannotStart("the lease did not end") }
    }

    private mutating func singleSteps(_ line: Int) throws {
        switch line {
        case 454:
            beginAlone(name: "full")
            try fill()
        case 462: resize(2_121_728, 1_417_216, quota: 2_097_152, index: 13)
        case 467: try beginAuth(.v36)
        case 469:
            store.auth.isEnabled = true
            try loginAll()
        case 500: resize(20_480, 16_384, index: 25)
        case 504: store.skip(toIndex: 27)
        case 512: try put("qq/svc/8001", "", lease: 32_769)
        case 514: pass(.milliseconds(3100))
        case 515: try login("qq")
        case 516: store.auth.addRole("other", .read, "other/", to: "other0")
        case 517:
            store.auth.endTokens()
            store.lead(0)
        case 518: try login("qq")
        case 519: beginAlone(name: "tls")
        default: break
        }
    }

    /// Fills a single server: a key under a lease, and large values that raised the alarm.
    private mutating func fill() throws {
        try grant(28_673, 60)
        try put("s/held", "x", lease: 28_673)
        store.skip(toRevision: 4)
        store.fill()
    }

    private mutating func beginAuth(_ version: EtcdVersion) throws {
        tokens = [:]
        beginAlone(version, name: "auth")
        addUsers()
    }

    // MARK: 3.5 and 3.4

    private mutating func takeSteps35(_ line: Int) throws {
        switch line {
        case 522:
            begin(.v35, leader: 2)
            resize(20_480, 16_384, index: 8)
        case 525:
            store.skip(toRevision: 214)
            store.skip(toTerm: 10)
            resize(49_152, 40_960, index: 313)
            store.isolate([0, 1])
        case 526:
            begin(.v35)
            store.skip(toRevision: 216)
            store.skip(toTerm: 11)
            resize(40_960, 40_960, index: 317)
            store.isolate([1])
        case 527:
            beginAlone(.v35, name: "full")
            try fill()
            resize(2_129_920, 1_417_216, index: 13)
        case 528:
            try beginAuth(.v35)
            store.auth.isEnabled = true
            try loginAll()
            store.skip(toRevision: 2)
            resize(20_480, 16_384, index: 27)
        default: break
        }
    }

    private mutating func takeSteps34(_ line: Int) throws {
        switch line {
        case 530:
            begin(.v34)
            resize(24_576, 16_384, index: 8)
        case 537:
            store.skip(toRevision: 2)
            store.skip(toIndex: 10)
            store.isolate([0, 2])
        case 547: try observe()
        case 551:
            begin(.v34, leader: 0)
            store.skip(toRevision: 1074)
            store.skip(toTerm: 22)
            resize(90_112, 81_920, index: 1177)
            store.isolate([0])
        case 552:
            beginAlone(.v34, name: "full")
            try fill()
            resize(2_129_920, 1_417_216, index: 13)
        case 555:
            try beginAuth(.v34)
            store.auth.isEnabled = true
            try loginAll()
            try grant(32_769, 60)
        case 557: try put("qq/jobs/8001", "alice", lease: 32_769)
        case 559: renew(stream: 21)
        case 561: renew(stream: 22, "ro")
        case 563: resize(20_480, 16_384, index: 25)
        case 566: store.skip(toIndex: 26)
        case 569: store.skip(toIndex: 27)
        default: break
        }
    }

    /// A keep-alive whose request only the rows of 3.6 show.
    private mutating func renew(stream: Int64, _ user: String? = nil) {
        var request = Etcdserverpb_LeaseKeepAliveRequest()
        request.id = 32_769
        keepAlive(request, EtcdStore.Caller(token: user.flatMap { tokens[$0] }), scenario: "users and roles", number: stream)
    }

    /// `etcdctl elect -l` of 3.4 cancels its watch after the leader's key is gone.
    private mutating func observe() throws {
        begin(.v34, leader: 0)
        store.skip(toRevision: 47)
        var create = Etcdserverpb_WatchRequest()
        create.createRequest.key = Data("e/7e5700000000000a".utf8)
        let stream = try store.openWatches(EtcdStore.Caller(member: 1))
        store.watch(create, on: stream)
        _ = try store.takeAnswers(stream)
        var cancel = Etcdserverpb_WatchRequest()
        cancel.cancelRequest.watchID = 0
        store.watch(cancel, on: stream)
        adopt(stream, scenario: "etcdctl lock and elect", client: "B", number: 13)
    }
}
