import Testing

@testable import QQRaftLock

@Suite("The search for the Raft leader") struct LeaderDirectoryTests {
    private func directory(_ nodeIDs: [String?] = ["node1", "node2", "node3"]) -> LeaderDirectory {
        var directory = LeaderDirectory(["a:5051", "b:5051", "c:5051"])
        for (index, id) in nodeIDs.enumerated() { if let id { directory.identified(id, at: index) } }
        return directory
    }

    private func pointer(_ nodeID: String?, _ address: String? = "10.0.0.2:38502") -> LeaderPointer {
        LeaderPointer(nodeID: nodeID, address: address)
    }

    @Test("the endpoint that served last is asked first, until it is no longer the Raft leader") func remembered() {
        var directory = directory()
        #expect(directory.order == [0, 1, 2])
        directory.served(at: 2)
        #expect(directory.leader == 2)
        #expect(directory.order == [2, 0, 1])
        directory.lost(at: 1)
        #expect(directory.leader == 2)
        directory.lost(at: 2)
        #expect(directory.leader == nil)
        #expect(directory.order == [0, 1, 2])
    }

    @Test("a node is recognised by its id, whatever address is named") func byNodeID() {
        #expect(directory().endpoint(of: pointer("node2")) == 1)
        #expect(directory().endpoint(of: pointer("node9")) == nil)
        #expect(directory().endpoint(of: pointer("node9", "c:5051")) == 2)
        #expect(directory([]).endpoint(of: pointer("node2")) == nil)
    }

    @Test("a node that has moved is only at its new endpoint") func moved() {
        var directory = directory()
        directory.identified("node2", at: 0)
        #expect(directory.endpoint(of: pointer("node2")) == 0)
        #expect(directory.nodeID(at: 1) == nil)
    }

    @Test("a follower's redirect is followed immediately") func redirect() {
        let directory = directory()
        var search = LeaderSearch(followsRedirects: false)
        #expect(search.begin(directory) == .ask(0))
        #expect(search.next(after: .notLeader(pointer("node3")), from: 0, directory) == .ask(2))
    }

    @Test("node ids are requested once, when an unknown id is named") func identifies() {
        var directory = directory([])
        var search = LeaderSearch(followsRedirects: false)
        #expect(search.begin(directory) == .ask(0))
        #expect(search.next(after: .notLeader(pointer("node2")), from: 0, directory) == .identify)
        directory.identified("node2", at: 1)
        #expect(search.identified(directory) == .ask(1))
        #expect(search.next(after: .notLeader(pointer("node9")), from: 1, directory) == .ask(2))
        #expect(search.next(after: .notLeader(pointer("node9")), from: 2, directory) == .giveUp)
    }

    @Test("nodes that name each other are asked at most twice", arguments: [true, false]) func circles(follows: Bool) {
        let directory = directory()
        var search = LeaderSearch(followsRedirects: follows)
        var step = search.begin(directory)
        var asked = 0
        // 0 names 1, 1 names 0, and there is no Raft leader.
        while case .ask(let index) = step {
            asked += 1
            step = search.next(after: .notLeader(pointer(index == 0 ? "node2" : "node1")), from: index, directory)
            if asked > 10 { break }
        }
        #expect(step == .giveUp)
        #expect(asked <= 6)
    }

    @Test("a node that names itself but does not lead is not asked forever") func itself() {
        let directory = directory()
        var search = LeaderSearch(followsRedirects: false)
        #expect(search.begin(directory) == .ask(0))
        #expect(search.next(after: .notLeader(pointer("node1")), from: 0, directory) == .ask(0))
        #expect(search.next(after: .notLeader(pointer("node1")), from: 0, directory) == .ask(1))
        #expect(search.next(after: .noLeader, from: 1, directory) == .ask(2))
        #expect(search.next(after: .unreachable, from: 2, directory) == .giveUp)
    }

    @Test("a dead leader that is still named is not tried again") func dead() {
        let directory = directory()
        var search = LeaderSearch(followsRedirects: false)
        #expect(search.begin(directory) == .ask(0))
        #expect(search.next(after: .unreachable, from: 0, directory) == .ask(1))
        #expect(search.next(after: .notLeader(pointer("node1")), from: 1, directory) == .ask(2))
        #expect(search.next(after: .notLeader(pointer("node1")), from: 2, directory) == .giveUp)
        #expect(search.pointer == pointer("node1"))
    }

    @Test("an address outside the configured endpoints is tried only if redirects are followed, and only once") func strangers() {
        let directory = directory(["node1", nil, nil])
        var careful = LeaderSearch(followsRedirects: false)
        _ = careful.begin(directory)
        #expect(careful.next(after: .notLeader(pointer("node7")), from: 0, directory) == .identify)
        #expect(careful.identified(directory) == .ask(1))
        var bold = LeaderSearch(followsRedirects: true)
        _ = bold.begin(directory)
        #expect(bold.next(after: .notLeader(pointer("node7")), from: 0, directory) == .identify)
        #expect(bold.identified(directory) == .askStranger("10.0.0.2:38502"))
        #expect(bold.next(after: .unreachable, from: nil, directory) == .ask(1))
        #expect(bold.next(after: .notLeader(pointer("node7")), from: 1, directory) == .ask(2))
        #expect(bold.next(after: .notLeader(pointer("node7")), from: 2, directory) == .giveUp)
    }
}
