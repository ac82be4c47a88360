# Sets what it is given and reads it again: some programs take a setting without a word and do not keep it.
# Each kind is three lists side by side: controls, targets, values. What the PC refuses keeps nothing else from being set.
$refused = [ordered]@{}
function Set-Each([string[]]$ids, [string[]]$targets, $values, [scriptblock]$change) {
    for ($at = 0; $at -lt $ids.Count; $at++) {
        if ($refused.Contains($ids[$at])) { continue }
        try { & $change $targets[$at] $values[$at] }
        catch { $refused[$ids[$at]] = $ids[$at] + ' is not kept: ' + $targets[$at] + ' = ' + $values[$at] + ' (' + $_.FullyQualifiedErrorId + ')' }
    }
}
function New-Place { $env:SystemRoot + '\Temp\citadelle-' + [guid]::NewGuid().ToString('N') }
function Read-File([string]$file) { if (Test-Path -LiteralPath $file) { [string](Get-Content -LiteralPath $file -Raw) } else { '' } }
Set-Each $registry_ids $registry $registry_values {
    param($target, $value)
    $key, $name = $target -split '!', 2
    $type = 'DWord'
    if ($value -is [string]) { $type = 'String' }
    # New-Item would empty a key that is there.
    if (-not (Test-Path -LiteralPath $key)) { New-Item -Path $key -Force | Out-Null }
    New-ItemProperty -LiteralPath $key -Name $name -Value $value -PropertyType $type -Force | Out-Null
    $kept = (Get-Item -LiteralPath $key).GetValue($name, $null)
    if ($kept -ne $value) { throw "is '$kept' after it was set" }
}
Set-Each $service_ids $services $service_values {
    param($name, $mode)
    Set-Service -Name $name -StartupType $mode
    Stop-Service -Name $name -Force -WarningAction SilentlyContinue
    $kept = Get-CimInstance -ClassName Win32_Service -Filter "Name='$name'"
    if ($kept.StartMode -ne $mode -or $kept.State -eq 'Running') { throw "is $($kept.StartMode), $($kept.State) after it was set" }
}
Set-Each $audit_ids $audits $audit_values {
    param($subcategory, $bits)
    $switches = @()
    if ($bits -band 1) { $switches += '/success:enable' }
    if ($bits -band 2) { $switches += '/failure:enable' }
    & auditpol.exe /set "/subcategory:$subcategory" @switches | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "auditpol: exit code $LASTEXITCODE" }
}
if ($audits) {
    $file, $text, $why = (New-Place), '', 'cannot be read again'
    try { & auditpol.exe /backup "/file:$file" | Out-Null; $text = Read-File $file; Remove-Item -Path "$file*" }
    catch { $why = $_.FullyQualifiedErrorId }
    Set-Each $audit_ids $audits $audit_values {
        param($subcategory, $bits)
        if ($text -notmatch ('(?m)' + [regex]::Escape($subcategory) + ',.*,(\d)\s*$')) { throw $why }
        if (([int]$Matches[1] -band $bits) -ne $bits) { throw "is $($Matches[1]) after it was set" }
    }
}
if ($accounts) {
    $base, $text, $why = (New-Place), '', 'cannot be read again'
    $lines = @('[Unicode]', 'Unicode=yes', '[Version]', 'signature="$CHICAGO$"', 'Revision=1', '[System Access]')
    for ($at = 0; $at -lt $accounts.Count; $at++) { $lines += $accounts[$at] + ' = ' + $account_values[$at] }
    try {
        Set-Content -LiteralPath "$base.inf" -Value $lines -Encoding Unicode
        & secedit.exe /configure /db "$base.sdb" /cfg "$base.inf" /areas SECURITYPOLICY /quiet | Out-Null
        $code = $LASTEXITCODE
        & secedit.exe /export /cfg "$base.txt" /areas SECURITYPOLICY /quiet | Out-Null
        $text = Read-File "$base.txt"
    }
    catch { $why = $_.FullyQualifiedErrorId }
    finally { Remove-Item -Path "$base*" }
    Set-Each $account_ids $accounts $account_values {
        param($name, $value)
        if ($text -notmatch ('(?m)^' + $name + ' = (-?\d+)\s*$')) { throw $why }
        if ([int]$Matches[1] -ne $value) { throw "is $($Matches[1]) after it was set; secedit: exit code $code" }
    }
}
# Tamper protection takes some settings without a word and drops them: what counts is what is there afterwards.
function Get-Held {
    if ((Get-MpComputerStatus).IsTamperProtected) { ', as tamper protection is on: only its own console can change it' }
}
Set-Each $defender_ids $defenders $defender_values {
    param($name, $value)
    $setting = @{ $name = $value }
    Set-MpPreference @setting
    $kept = (Get-MpPreference).$name
    if ($kept -ne $value) { throw "is $kept after it was set$(Get-Held)" }
}
Set-Each $rule_ids $rules $rule_values {
    param($rule, $action)
    Add-MpPreference -AttackSurfaceReductionRules_Ids $rule -AttackSurfaceReductionRules_Actions $action
    $found = Get-MpPreference
    $place = [Array]::IndexOf(@($found.AttackSurfaceReductionRules_Ids | ForEach-Object { ([string]$_).ToLowerInvariant() }), $rule)
    $kept = 'absent'
    if ($place -ge 0) { $kept = [int]@($found.AttackSurfaceReductionRules_Actions)[$place] }
    if ($kept -ne $action) { throw "is $kept after it was set$(Get-Held)" }
}
$global:LASTEXITCODE = 0
if ($refused.Count) {
    $refused.Values | ForEach-Object { "${pc}: $_" }
    'hint: a policy of the domain or a program that guards it sets it back, or its owner refuses: gpresult /h report.html; or accept it in policies/waivers.yaml'
    $global:LASTEXITCODE = 1
}
