# Sets what it is given and reads it again: some programs take a setting without a word and do not keep it.
$refused = New-Object System.Collections.ArrayList
function Set-Each([string[]]$ids, [scriptblock]$change) {
    for ($at = 0; $at -lt $ids.Count; $at++) {
        try { & $change $at } catch { [void]$refused.Add($ids[$at] + ': ' + $_.FullyQualifiedErrorId) }
    }
}
Set-Each $registry_ids {
    param($at)
    $key, $name = $registry[$at] -split '!', 2
    $value = $registry_values[$at]
    $type = 'DWord'
    if ($value -is [string]) { $type = 'String' }
    # New-Item would empty a key that is there.
    if (-not (Test-Path -LiteralPath $key)) { New-Item -Path $key -Force | Out-Null }
    New-ItemProperty -LiteralPath $key -Name $name -Value $value -PropertyType $type -Force | Out-Null
    $kept = (Get-Item -LiteralPath $key).GetValue($name, $null)
    if ($kept -ne $value) { throw "is $kept after it was set" }
}
Set-Each $service_ids {
    param($at)
    $name = $services[$at]
    Set-Service -Name $name -StartupType Disabled
    Stop-Service -Name $name -Force -WarningAction SilentlyContinue
    $kept = (Get-CimInstance -ClassName Win32_Service -Filter "Name='$name'").StartMode
    if ($kept -ne 'Disabled') { throw "is $kept after it was set" }
}
Set-Each $audit_ids {
    param($at)
    $switches = @()
    if ($audit_values[$at] -band 1) { $switches += '/success:enable' }
    if ($audit_values[$at] -band 2) { $switches += '/failure:enable' }
    & auditpol.exe /set "/subcategory:$($audits[$at])" @switches | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "auditpol: exit code $LASTEXITCODE" }
}
if ($audits) {
    $file = $env:SystemRoot + '\Temp\citadelle-' + [guid]::NewGuid().ToString('N')
    & auditpol.exe /backup "/file:$file" | Out-Null
    $text = ''
    if (Test-Path -LiteralPath $file) { $text = [string](Get-Content -LiteralPath $file -Raw); Remove-Item -LiteralPath $file }
    Set-Each $audit_ids {
        param($at)
        if ($text -notmatch ('(?m)' + [regex]::Escape($audits[$at]) + ',.*,(\d)\s*$')) { throw 'cannot be read again' }
        if (([int]$Matches[1] -band $audit_values[$at]) -ne $audit_values[$at]) { throw "is $($Matches[1]) after it was set" }
    }
}
if ($accounts) {
    $base = $env:SystemRoot + '\Temp\citadelle-' + [guid]::NewGuid().ToString('N')
    $lines = @('[Unicode]', 'Unicode=yes', '[Version]', 'signature="$CHICAGO$"', 'Revision=1', '[System Access]')
    for ($at = 0; $at -lt $accounts.Count; $at++) { $lines += $accounts[$at] + ' = ' + $account_values[$at] }
    $text = ''
    try {
        Set-Content -LiteralPath "$base.inf" -Value $lines -Encoding Unicode
        & secedit.exe /configure /db "$base.sdb" /cfg "$base.inf" /areas SECURITYPOLICY /quiet | Out-Null
        & secedit.exe /export /cfg "$base.txt" /areas SECURITYPOLICY /quiet | Out-Null
        if (Test-Path -LiteralPath "$base.txt") { $text = [string](Get-Content -LiteralPath "$base.txt" -Raw) }
    }
    finally { Remove-Item -Path "$base*" }
    Set-Each $account_ids {
        param($at)
        if ($text -notmatch ('(?m)^' + $accounts[$at] + ' = (-?\d+)\s*$')) { throw 'cannot be read again' }
        if ([int]$Matches[1] -ne $account_values[$at]) { throw "is $($Matches[1]) after it was set" }
    }
}
$global:LASTEXITCODE = 0
if ($refused.Count) { throw "this PC does not keep: $($refused -join '; ')" }
