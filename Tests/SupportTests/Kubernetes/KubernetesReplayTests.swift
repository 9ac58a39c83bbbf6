import QQCore
import Support
import Testing

@Suite("Recording of a real API server") struct KubernetesReplayTests {
    /// How a line is checked.
    enum Check: String {
        /// Sent to `LeaseAPI`; status, headers, body and duration compared.
        case call
        /// A watch of `LeaseAPI`, all its events compared.
        case watch
        /// An action on the server or on etcd, repeated on the store.
        case control
        /// Compared over the network.
        case network
    }

    @Test("the test API server answers like the recorded kube-apiserver, line by line")
    func replay() throws {
        let replay = try KubernetesReplay()
        var checked: [Check: Int] = [:]
        for line in replay.lines {
            try replay.hiddenSteps(before: line)
            checked[try check(line, replay), default: 0] += 1
        }
        #expect(replay.lines.count == 352)
        #expect(checked == [.call: 304, .watch: 27, .control: 7, .network: 14])
    }

    /// Lines that only the network shows, checked by `KubernetesServerReplayTests`.
    static let networkLines = Set([273, 274, 275, 276, 277, 278, 296, 297, 298, 299, 303, 313, 314, 315])

    private func check(_ line: KubernetesRecording.Line, _ replay: KubernetesReplay) throws -> Check {
        if Self.networkLines.contains(line.step) { return .network }
        if line.whole["control"] != nil || line.whole["holders_afterwards"] != nil {
            try replay.control(line)
            return .control
        }
        if line.events != nil {
            try replay.replayWatch(line)
            return .watch
        }
        try replay.replay(line)
        return .call
    }
}
