# For a PowerShell 7 without the Registry provider: the cmdlets of items and their properties know HKLM: and HKCU: by these functions.
# The state is the same registry.json that an engine with the provider uses.
$global:DoubleRegistry = "$env:WINDOWS_DOUBLE_STATE/registry.json"
$global:DoubleHives = @{ 'HKLM:' = 'HKEY_LOCAL_MACHINE'; 'HKCU:' = 'HKEY_CURRENT_USER'; 'HKU:' = 'HKEY_USERS' }

function global:Get-DoubleKeyName([string]$Path) {
    $text = $Path -replace '/', '\' -replace '^(Microsoft\.PowerShell\.Core\\)?Registry::', ''
    $drive = $text.Split('\')[0]
    if ($DoubleHives[$drive.ToUpperInvariant()]) { return ($DoubleHives[$drive.ToUpperInvariant()] + $text.Substring($drive.Length)).TrimEnd('\') }
    if ($text -match '^HKEY_') { return $text.TrimEnd('\') }
}
function global:Read-DoubleRegistry { ConvertFrom-Json ([IO.File]::ReadAllText($DoubleRegistry)) -AsHashtable }
function global:Edit-DoubleRegistry([scriptblock]$DoubleChange) {
    $doubleLock = $null
    for ($doubleTry = 0; -not $doubleLock; $doubleTry++) {
        try { $doubleLock = [IO.File]::Open("$DoubleRegistry.lock", 'OpenOrCreate', 'ReadWrite', 'None') }
        catch { if ($doubleTry -gt 2000) { throw }; Start-Sleep -Milliseconds 5 }
    }
    try {
        $doubleContent = Read-DoubleRegistry
        & $DoubleChange $doubleContent
        [IO.File]::WriteAllText("$DoubleRegistry.$PID.tmp", (ConvertTo-Json $doubleContent -Depth 6))
        [IO.File]::Move("$DoubleRegistry.$PID.tmp", $DoubleRegistry, $true)
    } finally { $doubleLock.Dispose() }
}
# The key as it is spelled in the file; a key exists when it, or one below it, is there.
function global:Find-DoubleKey($Content, [string]$Key) {
    foreach ($name in $Content.Keys) { if ($name -eq $Key) { return $name } }
    foreach ($name in $Content.Keys) { if ($name -like ([WildcardPattern]::Escape($Key) + '\*')) { return $Key } }
}
function global:Get-DoublePlainValue($Value) {
    if ($Value -is [Collections.IDictionary]) { if ($Value.kind -eq 'Binary') { , [Convert]::FromHexString($Value.value) } else { $Value.value } } else { $Value }
}
function global:New-DoubleKeyObject($Content, [string]$Key) {
    $values = [ordered]@{}
    if ($Content[$Key]) { foreach ($name in $Content[$Key].Keys) { $values[$name] = Get-DoublePlainValue $Content[$Key][$name] } }
    $object = [pscustomobject]@{ Name = $Key; PSChildName = $Key.Split('\')[-1]; PSPath = "Registry::$Key"; Property = @($values.Keys); Values = $values }
    $object | Add-Member ScriptMethod GetValue { param($Name, $Default) if ($this.Values.Contains($Name)) { $this.Values[$Name] } else { $Default } }
    $object | Add-Member ScriptMethod GetValueNames { $this.Property } -PassThru
}
# Reads the words of a call: -Name value, -Switch, bare words in the order of the positions.
function global:Read-DoubleWords($Words, [string[]]$Positions) {
    $switches = 'Force', 'Recurse', 'PassThru', 'Confirm', 'WhatIf'
    $found = @{}
    for ($i = 0; $i -lt $Words.Count; $i++) {
        if ($Words[$i] -is [string] -and $Words[$i] -match '^-([A-Za-z]+):?$') {
            if ($switches -contains $Matches[1]) { $found[$Matches[1]] = $true } else { $found[$Matches[1]] = $Words[++$i] }
        } else {
            $free = @($Positions | Where-Object { -not $found.ContainsKey($_) })[0]
            if ($free) { $found[$free] = $Words[$i] }
        }
    }
    if ($found.ContainsKey('LiteralPath')) { $found.Path = $found.LiteralPath }
    if ($found.ContainsKey('PropertyType')) { $found.Type = $found.PropertyType }
    if ($found.ContainsKey('EA')) { $found.ErrorAction = $found.EA }
    $found
}
function global:Stop-DoubleItem($Call, [string]$Id, [string]$Message) {
    $record = [Management.Automation.ErrorRecord]::new([Management.Automation.ItemNotFoundException]::new($Message), $Id, 'ObjectNotFound', $Call.Path)
    $action = if ($Call.ErrorAction) { $Call.ErrorAction } else { $ErrorActionPreference }
    if ("$action" -eq 'Stop') { throw $record }
    if ("$action" -notin 'SilentlyContinue', 'Ignore') { Write-Error -ErrorRecord $record }
}
$global:DoubleItems = @{
    'Test-Path' = @(@('Path'), { param($call, $key, $content) [bool](Find-DoubleKey $content $key) })
    'Get-Item' = @(@('Path'), { param($call, $key, $content) $there = Find-DoubleKey $content $key; if ($there) { New-DoubleKeyObject $content $there } else { Stop-DoubleItem $call 'PathNotFound' "Cannot find path '$($call.Path)' because it does not exist." } })
    'Get-ChildItem' = @(@('Path'), {
        param($call, $key, $content)
        if (-not (Find-DoubleKey $content $key)) { return Stop-DoubleItem $call 'PathNotFound' "Cannot find path '$($call.Path)' because it does not exist." }
        $depth = $key.Split('\').Count
        $names = $content.Keys | Where-Object { $_ -like ([WildcardPattern]::Escape($key) + '\*') } | ForEach-Object { ($_.Split('\')[0..$depth]) -join '\' } | Sort-Object -Unique
        foreach ($name in $names) { New-DoubleKeyObject $content $name }
    })
    'Get-ItemProperty' = @(@('Path', 'Name'), {
        param($call, $key, $content)
        $there = Find-DoubleKey $content $key
        if (-not $there) { return Stop-DoubleItem $call 'PathNotFound' "Cannot find path '$($call.Path)' because it does not exist." }
        $values = (New-DoubleKeyObject $content $there).Values
        $result = [ordered]@{}
        foreach ($name in $values.Keys) { if (-not $call.Name -or $call.Name -contains $name) { $result[$name] = $values[$name] } }
        if ($call.Name -and $result.Count -eq 0) { return Stop-DoubleItem $call 'System.Management.Automation.PSArgumentException' "Property $($call.Name) does not exist at path $key." }
        $result.PSPath = "Registry::$key"; $result.PSChildName = $key.Split('\')[-1]
        [pscustomobject]$result
    })
    'Get-ItemPropertyValue' = @(@('Path', 'Name'), { param($call, $key, $content) $all = (New-DoubleKeyObject $content $key).Values; if ($all.Contains($call.Name)) { $all[$call.Name] } else { Stop-DoubleItem $call 'System.Management.Automation.PSArgumentException' "Property $($call.Name) does not exist at path $key." } })
    'New-Item' = @(@('Path'), { param($call, $key, $content) Edit-DoubleRegistry { param($all) if (-not (Find-DoubleKey $all $key)) { $all[$key] = @{} } }; New-DoubleKeyObject (Read-DoubleRegistry) $key })
    'Remove-Item' = @(@('Path'), { param($call, $key, $content) Edit-DoubleRegistry { param($all) foreach ($name in @($all.Keys)) { if ($name -eq $key -or $name -like ([WildcardPattern]::Escape($key) + '\*')) { $all.Remove($name) } } } })
    'Remove-ItemProperty' = @(@('Path', 'Name'), { param($call, $key, $content) Edit-DoubleRegistry { param($all) $there = Find-DoubleKey $all $key; foreach ($name in $call.Name) { $all[$there].Remove($name) } } })
}
$DoubleWrite = @(@('Path', 'Name', 'Value'), {
    param($call, $key, $content)
    $there = Find-DoubleKey $content $key
    if (-not $there) { return Stop-DoubleItem $call 'PathNotFound' "Cannot find path '$($call.Path)' because it does not exist." }
    $kind = if ($call.Type) { "$($call.Type)" } elseif ($call.Value -is [int]) { 'DWord' } elseif ($call.Value -is [array]) { 'MultiString' } else { 'String' }
    $value = switch ($kind) { 'DWord' { [int]$call.Value } 'QWord' { [long]$call.Value } 'MultiString' { , @($call.Value) } 'Binary' { [Convert]::ToHexString([byte[]]$call.Value) } default { "$($call.Value)" } }
    Edit-DoubleRegistry { param($all) if (-not $all.ContainsKey($there)) { $all[$there] = @{} }; $all[$there][$call.Name] = @{ kind = $kind; value = $value } }
})
$global:DoubleItems['Set-ItemProperty'] = $DoubleWrite
$global:DoubleItems['New-ItemProperty'] = $DoubleWrite

$forward = {
    $double = $MyInvocation.MyCommand.Name
    $call = Read-DoubleWords $args $DoubleItems[$double][0]
    if ($MyInvocation.ExpectingInput) { $given = @($input); if (-not $call.Path -and $given.Count -and $given[0].PSPath -like 'Registry::*') { $call.Path = $given[0].PSPath } }
    $key = Get-DoubleKeyName "$($call.Path)"
    if ($key) { return & $DoubleItems[$double][1] $call $key (Read-DoubleRegistry) }
    if ($MyInvocation.ExpectingInput) { $given | & "Microsoft.PowerShell.Management\$double" @args } else { & "Microsoft.PowerShell.Management\$double" @args }
}
foreach ($name in @($DoubleItems.Keys)) { Set-Item "function:global:$name" $forward }
