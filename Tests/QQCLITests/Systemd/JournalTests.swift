import Glibc
import QQCore
import Testing

@testable import QQCLI

@Suite("The journal") struct JournalTests {
    @Test("a stream is the journal's if the variable names its device and inode") func stream() {
        var ends: [CInt] = [-1, -1]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        var information = stat()
        #expect(fstat(ends[1], &information) == 0)
        let (device, inode) = (information.st_dev, information.st_ino)
        #expect(Journal.isStream(ends[1], "\(device):\(inode)"))
        for text in ["\(device):\(inode + 1)", "\(device + 1):\(inode)", "\(device)", "\(device):\(inode):", ":", "", "x:y"] {
            #expect(!Journal.isStream(ends[1], text), "\(text)")
        }
        #expect(!Journal.isStream(ends[1], nil))
        #expect(!Journal.isStream(-1, "\(device):\(inode)"))
    }

    @Test("each line of a message has the priority") func priorities() {
        #expect(Journal.marked("qq: a\nqq: b\n", .error) == "<3>qq: a\n<3>qq: b\n")
        #expect(Journal.marked("qq: a\n", .debug) == "<7>qq: a\n")
        #expect(Journal.marked("", .warning) == "")
        #expect(Journal.marked("a? ", .notice) == "<5>a? ")
    }

    @Test("events of keepalive are sentences without a time") func holding() {
        func text(_ event: String, token: FencingToken? = nil, reason: String? = nil, address: String? = nil) -> String {
            let entry = JournalText.holding(event, title: "web", token: token, reason: reason, address: address)
            return entry.priority.prefix + entry.text
        }
        #expect(text("elected", token: FencingToken(42)) == "<5>web: elected, token 42")
        #expect(text("waiting", token: FencingToken(7), reason: "h1") == "<6>web: waiting, held by h1, token 7")
        #expect(text("lost", token: FencingToken(7), reason: "the lease was removed") == "<4>web: lost, token 7, the lease was removed")
        #expect(text("address_taken", address: "10.0.0.5/24@eth0") == "<5>web: address taken, 10.0.0.5/24@eth0")
        #expect(text("step_down_asked", reason: "a\nb") == "<5>web: step down asked, a\\x0ab")
    }

    @Test("changes that watch shows are sentences without a time") func changes() {
        var free = ElectionState(name: "web", phase: .free)
        free.token = FencingToken(6)
        var held = ElectionState(name: "web", phase: .held)
        held.leader = "a/1/2f"
        held.token = FencingToken(7)
        #expect(JournalText.change(Change(from: free, to: held, slot: nil)).text == "web: elected, a/1/2f, token 7")
    }
}
