import QQCore

/// Which leases a list or a watch is of.
struct Selection: Sendable {
    /// nil for all namespaces.
    var namespace: String?
    var labels: [LabelRequirement] = []
    var fields: [FieldSelector] = []

    var isRestricted: Bool { !labels.isEmpty || !fields.isEmpty }

    func includes(_ object: LeaseObject) -> Bool {
        if let namespace, object.metadata.namespace != namespace { return false }
        return labels.allSatisfy { $0.includes(object.metadata.labels) } && fields.allSatisfy { $0.includes(object) }
    }

    init() {}

    init(_ call: LeaseAPI.Attributes, _ request: LeaseAPI.Request) throws(APIStatus) {
        namespace = call.namespace.isEmpty ? nil : call.namespace
        labels = try LabelRequirement.parse(request.parameter("labelSelector") ?? "")
        fields = try FieldSelector.parse(request.parameter("fieldSelector") ?? "")
        if call.isOldWatch, !call.name.isEmpty { fields.append(FieldSelector(field: "metadata.name", value: call.name, isEqual: true)) }
    }
}

struct FieldSelector: Sendable, Hashable {
    var field: String
    var value: String
    var isEqual: Bool

    func includes(_ object: LeaseObject) -> Bool {
        let own = field == "metadata.name" ? object.metadata.name : object.metadata.namespace
        return (own == value) == isEqual
    }

    static func parse(_ text: String) throws(APIStatus) -> [FieldSelector] {
        var selectors: [FieldSelector] = []
        for term in text.split(separator: ",") {
            guard let equals = term.firstIndex(of: "=") else {
                throw .badRequest("invalid selector: \(goQuoted(text)); can't understand \(goQuoted(String(term)))")
            }
            let isEqual = !term[..<equals].hasSuffix("!")
            let field = String(isEqual ? term[..<equals] : term[..<equals].dropLast())
            guard ["metadata.name", "metadata.namespace"].contains(field) else {
                throw .badRequest("\(goQuoted(field)) is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
            }
            selectors.append(FieldSelector(field: field, value: String(term[equals...].drop { $0 == "=" }), isEqual: isEqual))
        }
        return selectors
    }

    /// The name to which a selector restricts a call, which RBAC takes for the name of the request.
    static func singleName(_ text: String?) -> String? {
        guard let text, let selectors = try? parse(text) else { return nil }
        return selectors.first { $0.field == "metadata.name" && $0.isEqual }?.value
    }
}

struct LabelRequirement: Sendable, Hashable {
    enum Operator: Sendable { case among, notAmong, exists, isAbsent }

    var key: String
    var operation: Operator
    var values: Set<String> = []

    func includes(_ labels: [String: String]) -> Bool {
        switch operation {
        case .among: labels[key].map(values.contains) ?? false
        case .notAmong: !(labels[key].map(values.contains) ?? false)
        case .exists: labels[key] != nil
        case .isAbsent: labels[key] == nil
        }
    }

    /// Reads `a=b`, `a==b`, `a!=b`, `a`, `!a`, `a in (b,c)` and `a notin (b,c)`, separated by commas.
    static func parse(_ text: String) throws(APIStatus) -> [LabelRequirement] {
        var requirements: [LabelRequirement] = []
        var rest = Substring(text)
        while true {
            rest = rest.drop { $0 == " " || $0 == "," }
            if rest.isEmpty { return requirements }
            let isNegated = rest.first == "!"
            if isNegated { rest = rest.dropFirst() }
            let key = String(rest.prefix { !" ,=!()".contains($0) })
            rest = rest.dropFirst(key.count).drop { $0 == " " }
            guard !key.isEmpty else {
                throw .badRequest("unable to parse requirement: found '\(rest.first.map(String.init) ?? "")', expected: identifier")
            }
            if isNegated || rest.isEmpty || rest.first == "," {
                requirements.append(LabelRequirement(key: key, operation: isNegated ? .isAbsent : .exists))
                continue
            }
            if let word = ["notin", "in"].first(where: { rest.hasPrefix($0 + " ") || rest.hasPrefix($0 + "(") }) {
                rest = rest.dropFirst(word.count).drop { $0 == " " }
                guard rest.first == "(", let close = rest.firstIndex(of: ")") else {
                    throw .badRequest("unable to parse requirement: found '', expected: ',' or ')'")
                }
                let values = rest[rest.index(after: rest.startIndex)..<close].split(separator: ",").map { String($0.trimming(" ")) }
                requirements.append(LabelRequirement(key: key, operation: word == "in" ? .among : .notAmong, values: Set(values)))
                rest = rest[rest.index(after: close)...]
                continue
            }
            let isUnequal = rest.first == "!"
            guard isUnequal || rest.first == "=" else {
                throw .badRequest(
                    "unable to parse requirement: found '\(rest.prefix { $0 != " " && $0 != "," })', expected: in, notin, =, ==, !=, gt, lt"
                )
            }
            rest = rest.drop { $0 == "=" || $0 == "!" }.drop { $0 == " " }
            let value = String(rest.prefix { $0 != "," }.trimming(" "))
            rest = rest.drop { $0 != "," }
            requirements.append(LabelRequirement(key: key, operation: isUnequal ? .notAmong : .among, values: [value]))
        }
    }
}
