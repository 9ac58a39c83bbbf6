import QQCore
import Support
import Testing

/// Actions of the recorder between the recorded calls, by the number of the line that follows. Versions in the recording show each of them.
extension KubernetesReplay {
    /// Lines before which the recorder deleted a lease.
    private static let deletions: [String: Set<Int>] = [
        "jobs": [23, 28], "race": [32, 35], "f": [41, 44, 45, 47, 48, 52, 55, 58, 59, 60, 61, 63, 64, 65, 66, 77, 79, 81, 82, 90, 98],
        String(repeating: "a", count: 253): [68], "a.b-c.d": [71], "g-6kd7m": [76], "p": [116], "d": [121], "w": [162], "b": [167, 173],
        "a": [215], "sa": [220], "i": [237, 238, 239], "s": [280, 282],
    ]

    /// Lines before which the recorder made a lease, and the line whose answer shows it.
    private static let creations = [118: 119, 164: 164, 231: 232, 295: 295, 320: 322]

    func hiddenSteps(before line: KubernetesRecording.Line) throws {
        let step = line.step
        for (name, steps) in Self.deletions where steps.contains(step) { store.remove(name) }
        if let creation = Self.creations[step] { try put(try #require(lines[creation - 1].response), line) }
        switch step {
        case 24:
            store.remove("jobs")
            try put(base(line), line)
            store.remove("jobs")
        case 121:
            for item in lines[130].response?["items"]?.arrayValue ?? [] { try put(withKind(item), line) }
        case 139: pass(milliseconds: 6000)
        case 226:
            store.advance(to: 1762)
            setClock(line.response ?? .null)
            store.expect(uids: ["UID-50"])
            store.createNamespace("ending")
            try put(base(lines[227]), line)
        case 279: api.change { $0.coordinatesElection = true }
        case 287:
            let history = try #require(lines[288].events)
            var first = history[0].object
            first = replacing(first, "metadata", "resourceVersion", "1818")
            try put(replacing(first, "spec", "renewTime", first["spec"]?["acquireTime"]?.stringValue ?? ""), line)
            for event in history { try put(event.object, line) }
            store.compact()
        case 290:
            advance(to: 1866, line)
            api.restart()
        case 292:
            api.change { $0.cachesWatches = false }
            api.restart()
        case 294: #expect(store.version == 1880)
        case 295: api.change { $0.cachesWatches = true }
        case 305: api.isTerminating = true
        case 309: api.restart()
        case 316, 317: api.fail([.update, .get], with: .tooManyRequests(retryAfter: 2))
        case 318, 319: api.fail([.update, .get], with: .tooManyRequests(retryAfter: 1))
        case 333:
            let bases = lines[332..<340].map(base).sorted { version($0) < version($1) }
            for object in bases { try put(object, line) }
            store.set(.paused)
        default: break
        }
    }

    private func version(_ object: JSONValue) -> UInt64 { UInt64(object["metadata"]?["resourceVersion"]?.stringValue ?? "") ?? 0 }

    /// The lease that an update was made from: the recorder changed the time of renewal, and once the holder.
    private func base(_ line: KubernetesRecording.Line) -> JSONValue {
        let sent = line.request ?? .null
        let old = replacing(sent, "spec", "renewTime", sent["spec"]?["acquireTime"]?.stringValue ?? "")
        return sent["spec"]?["holderIdentity"] == "late" ? replacing(old, "spec", "holderIdentity", "alice") : old
    }

    private func withKind(_ item: JSONValue) -> JSONValue {
        var object: JSONObject = ["kind": "Lease", "apiVersion": "coordination.k8s.io/v1"]
        for member in item.objectValue?.members ?? [] { object[member.name] = member.value }
        return .object(object)
    }

    private func replacing(_ document: JSONValue, _ part: String, _ field: String, _ text: String) -> JSONValue {
        guard var object = document.objectValue, var inner = object[part]?.objectValue else { return document }
        inner[field] = .string(text)
        object[part] = .object(inner)
        return .object(object)
    }
}
