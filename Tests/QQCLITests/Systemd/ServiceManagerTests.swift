import Testing

@testable import QQCLI

@Suite("Variables of the service manager") struct ServiceManagerTests {
    private func manager(_ variables: [String: String], isOfSession: Bool = false) -> ServiceManager {
        ServiceManager({ name in variables[name].map { Array($0.utf8) } }, pid: 7, isOfSession: isOfSession)
    }

    @Test(
        "the variables are meant for the process that systemd names, and without a name for every process but a line of a session",
        arguments: [
            ("7", false, true), ("8", false, false), ("", false, false), ("07", false, false), (nil, false, true), (nil, true, false),
            ("8", true, false),
        ] as [(String?, Bool, Bool)])
    func meant(pid: String?, isOfSession: Bool, isOurs: Bool) {
        var variables = ["NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "5"]
        variables["SYSTEMD_EXEC_PID"] = pid
        let manager = manager(variables, isOfSession: isOfSession)
        #expect(manager.isOurs == isOurs)
        #expect((manager.socket != nil) == isOurs && (manager.watchdog != nil) == isOurs && manager.variables.isEmpty == !isOurs)
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
        "keepalive and acquire with a command report; keepalive --once and acquire without a command do not",
        arguments: [
            ("acquire x", false), ("acquire x --wait", false), ("acquire x -- true", true), ("acquire x --wait -- true", true),
            ("keepalive x", true), ("keepalive x --once", false),
            ("watch x", false),
            ("status x", false),
        ])
    func reporting(line: String, reports: Bool) throws { #expect(try invocation(line).reportsToServiceManager == reports) }
}
