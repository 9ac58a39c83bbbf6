import Testing

@testable import QQCLI

@Suite("Variables of the service manager") struct ServiceManagerTests {
    private func manager(_ variables: [String: String], pid: Int32 = 7) -> ServiceManager {
        ServiceManager({ name in variables[name].map { Array($0.utf8) } }, pid: pid)
    }

    @Test("a socket is a path or an abstract name; others are ignored") func socket() {
        #expect(NotifySocket(Array("/run/notify".utf8))?.name == Array("/run/notify".utf8))
        #expect(NotifySocket(Array("@qq/notify".utf8))?.name == [0] + Array("qq/notify".utf8))
        for text in ["", "@", "notify", "./notify", "vsock:2:1234", "/" + String(repeating: "x", count: 107)] {
            #expect(NotifySocket(Array(text.utf8)) == nil, "\(text)")
        }
        #expect(NotifySocket(Array(("/" + String(repeating: "x", count: 106)).utf8)) != nil)
        #expect(manager([:]).socket == nil)
    }

    @Test("a watchdog counts if it names this process, or none") func watchdog() {
        #expect(manager(["WATCHDOG_USEC": "30000000"]).watchdog == .seconds(30))
        #expect(manager(["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"]).watchdog == .seconds(30))
        #expect(manager(["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"]).watchdog == nil)
        #expect(manager(["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": ""]).watchdog == nil)
        for text in ["0", "-1", "", "soon", "99999999999999999999999"] {
            #expect(manager(["WATCHDOG_USEC": text]).watchdog == nil, "\(text)")
        }
        #expect(manager(["WATCHDOG_USEC": "\(UInt64.max)"]).watchdog == .seconds(366 * 86400))
    }

    @Test("a command that reports itself gets the socket and the watchdog, but not the process that was meant") func variables() {
        let manager = manager(["NOTIFY_SOCKET": "vsock:2:1", "WATCHDOG_USEC": "5", "WATCHDOG_PID": "7"])
        #expect(manager.variables.map(\.name) == ["NOTIFY_SOCKET", "WATCHDOG_USEC"])
        #expect(manager.variables.map(\.value) == ["vsock:2:1", "5"])
        #expect(self.manager([:]).variables.isEmpty)
    }

    @Test(
        "acquire and keepalive report; keepalive --once does not",
        arguments: [
            ("acquire x", true), ("acquire x --wait -- true", true), ("keepalive x", true), ("keepalive x --once", false),
            ("watch x", false),
            ("status x", false),
        ])
    func reporting(line: String, reports: Bool) throws { #expect(try invocation(line).reportsToServiceManager == reports) }
}
