# What every simulated module needs: the table of bodies, the PC's state, objects and errors shaped as Windows' own.
$DoubleBodies = @{}
$DoubleStateFile = "$env:WINDOWS_DOUBLE_STATE/state.json"

function Body([string]$Name, [scriptblock]$Script) { $DoubleBodies[$Name] = $Script }

function Invoke-DoubleBody($Cmdlet, $Bound) {
    $name = $Cmdlet.MyInvocation.MyCommand.Name
    $body = $DoubleBodies[$name]
    if (-not $body) {
        Stop-Double $Cmdlet 'DoubleNotImplemented' "${name}: the Windows double does not implement this cmdlet." NotImplemented $name
    }
    & $body $Bound $Cmdlet
}

function New-DoubleError($Id, $Message, $Category, $Target) {
    New-Object Management.Automation.ErrorRecord (New-Object InvalidOperationException $Message), $Id, $Category, $Target
}
function Stop-Double($Cmdlet, $Id, $Message, $Category, $Target) {
    $Cmdlet.ThrowTerminatingError((New-DoubleError $Id $Message $Category $Target))
}
function Write-DoubleError($Cmdlet, $Id, $Message, $Category, $Target) {
    $Cmdlet.WriteError((New-DoubleError $Id $Message $Category $Target))
}

# A parameter that exists but that no body looks at must not be swallowed.
function Assert-DoubleOnly($Cmdlet, $Bound, [string[]]$Known) {
    $common = 'Verbose','Debug','ErrorAction','WarningAction','InformationAction','ErrorVariable','WarningVariable',
        'InformationVariable','OutVariable','OutBuffer','PipelineVariable','WhatIf','Confirm','ProgressAction'
    foreach ($name in @($Bound.Keys)) {
        if ($Known -notcontains $name -and $common -notcontains $name) {
            $problem = "$($Cmdlet.MyInvocation.MyCommand.Name): the Windows double does not implement the parameter -$name."
            Stop-Double $Cmdlet 'DoubleNotImplemented' $problem NotImplemented $name
        }
    }
}

# Asks the double's own program; like a cmdlet, it leaves $LASTEXITCODE alone.
function Invoke-DoubleControl {
    $doubleBefore = $global:LASTEXITCODE
    $doubleSaid = & "$env:WINDOWS_DOUBLE_CODE/control" @args
    $doubleCode = $global:LASTEXITCODE
    $global:LASTEXITCODE = $doubleBefore
    if ($doubleCode) { throw "the Windows double's control $($args[0]) ends with $doubleCode" }
    $doubleSaid
}

function Get-DoubleState { ConvertFrom-Json ([IO.File]::ReadAllText($DoubleStateFile)) }

# Runs a change on the newest state, alone among all processes (the lock that Python's side takes too).
function Edit-DoubleState([scriptblock]$DoubleChange) {
    $doubleLock = $null
    for ($doubleTry = 0; -not $doubleLock; $doubleTry++) {
        try { $doubleLock = [IO.File]::Open("$DoubleStateFile.lock", 'OpenOrCreate', 'ReadWrite', 'None') }
        catch { if ($doubleTry -gt 2000) { throw }; Start-Sleep -Milliseconds 5 }
    }
    try {
        $doubleState = Get-DoubleState
        & $DoubleChange $doubleState
        if ([IO.File]::Exists("$env:WINDOWS_DOUBLE_STATE/dead")) { return }
        $doubleFresh = "$DoubleStateFile.$PID.tmp"
        [IO.File]::WriteAllText($doubleFresh, (ConvertTo-Json -InputObject $doubleState -Depth 20))
        [IO.File]::Move($doubleFresh, $DoubleStateFile, $true)
        Use-DoubleFuse
    } finally { $doubleLock.Dispose() }
}

# `control fuse N`: the PC loses its power right after the Nth change from now on. With the word `dead` behind N this process is spared,
# for tests that die hundreds of times: nothing that it does any more reaches the state, until the file `dead` is taken away.
function Use-DoubleFuse {
    $fuse = "$env:WINDOWS_DOUBLE_STATE/fuse"
    if (-not [IO.File]::Exists($fuse)) { return }
    $left, $spared = [IO.File]::ReadAllText($fuse).Split(' ')
    $left = [int]$left - 1
    if ($left -gt 0) { [IO.File]::WriteAllText($fuse, "$left $spared".TrimEnd()); return }
    [IO.File]::Delete($fuse)
    if (-not $spared) { [Environment]::Exit(99) }
    [IO.File]::WriteAllText("$env:WINDOWS_DOUBLE_STATE/$spared", '')
}

function Set-DoubleValue($Object, [string]$Name, $Value) {
    if ($Object.PSObject.Properties[$Name]) { $Object.$Name = $Value } else {
        $Object.PSObject.Properties.Add((New-Object Management.Automation.PSNoteProperty $Name, $Value))
    }
}

function New-DoubleObject([string]$Type, $Values) {
    $object = [pscustomobject]$Values
    $object.PSObject.TypeNames.Insert(0, $Type)
    $object
}
function New-DoubleCim([string]$Namespace, [string]$Class, $Values) {
    $object = [pscustomobject]$Values
    $object.PSObject.TypeNames.Insert(0, 'Microsoft.Management.Infrastructure.CimInstance')
    $object.PSObject.TypeNames.Insert(0, "Microsoft.Management.Infrastructure.CimInstance#$Namespace/$Class")
    Set-DoubleValue $object 'PSComputerName' $null
    $described = New-DoubleObject 'Microsoft.Management.Infrastructure.CimClass' ([ordered]@{ CimClassName = $Class })
    Set-DoubleValue $object 'CimClass' $described
    $object
}
function Write-DoubleCimNotFound($Cmdlet, [string]$Class, [string]$Property, $Value) {
    $problem = "No $Class objects found with property '$Property' equal to '$Value'.  Verify the value of the property and retry."
    Write-DoubleError $Cmdlet "CmdletizationQuery_NotFound_$Property" $problem ObjectNotFound $Value
}

function Get-DoubleNow { [DateTimeOffset]::UtcNow.ToUnixTimeMilliseconds() }
function ConvertTo-DoubleDate($Milliseconds) {
    if ($null -ne $Milliseconds) { [DateTimeOffset]::FromUnixTimeMilliseconds([long]$Milliseconds).LocalDateTime }
}
function ConvertFrom-DoubleDate($Date) { if ($Date) { (New-Object DateTimeOffset ([DateTime]$Date)).ToUnixTimeMilliseconds() } }

function Test-DoubleLike([string]$Text, $Patterns) {
    foreach ($pattern in $Patterns) { if ($Text -like $pattern) { return $true } }
    $false
}
function Get-DoubleNames($Table) { @($Table.PSObject.Properties | ForEach-Object { $_.Name }) }
